-- What:   usuario.bloqueado; aviso, the mails that tell a user's correo that their correo or password was changed; and what
--         auditoria says of itself.
-- Why:    estado tells whether a correo is verified, so an admin had no way to keep somebody out. Whoever stole an account
--         changes correo and password first: the mail carries a link, good for 72 hours and once, that gives the account
--         back to the correo it went to, which nobody else may take meanwhile. Not rows of enlace, which has one per user
--         and purpose: a second change must not end the first one's link. And of who is deleted the audit forgets names,
--         addresses and correos: its rows are no longer only added.
-- Locks:  usuario ACCESS EXCLUSIVE, a few milliseconds: a column with a constant default rewrites nothing.
--         auditoria SHARE UPDATE EXCLUSIVE, for its comment: reads and writes go on.
-- Undo:   drops column and table: who was blocked may log in again, and links already mailed stop working.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

ALTER TABLE usuario ADD COLUMN bloqueado boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN usuario.bloqueado IS 'Whether an admin keeps them out: no login, no refresh, no session.';
COMMENT ON TABLE auditoria IS 'Who did what, to whom, when and from where; rows change only when a user is deleted, whose data they then lose.';

CREATE TABLE aviso (
    usuario_id bigint      NOT NULL,
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    tipo       text        NOT NULL,
    correo     text        NOT NULL,
    reversible boolean     NOT NULL,
    direccion  text        NOT NULL DEFAULT '',
    creacion   timestamptz NOT NULL DEFAULT now(),
    expira     timestamptz NOT NULL,
    proximo    timestamptz DEFAULT now(),
    intentos   bigint      NOT NULL DEFAULT 0,
    enviado    timestamptz,
    error      text,
    CONSTRAINT aviso_pkey PRIMARY KEY (usuario_id, id),
    CONSTRAINT aviso_usuario_id_fkey FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE,
    CONSTRAINT aviso_tipo_check CHECK (tipo IN ('correo', 'password')),
    CONSTRAINT aviso_direccion_check CHECK (length(direccion) <= 45),
    CONSTRAINT aviso_expira_check CHECK (expira > creacion),
    CONSTRAINT aviso_intentos_check CHECK (intentos >= 0),
    CONSTRAINT aviso_error_check CHECK (length(error) <= 200)
);

CREATE INDEX aviso_proximo_idx ON aviso (proximo) WHERE proximo IS NOT NULL;
CREATE INDEX aviso_expira_idx ON aviso (expira);
CREATE INDEX aviso_correo_idx ON aviso (lower(correo) text_pattern_ops) WHERE reversible;

COMMENT ON TABLE aviso IS 'The mails that tell of a changed correo or password, and the links that they carry.';
COMMENT ON COLUMN aviso.usuario_id IS 'Whose account was changed.';
COMMENT ON COLUMN aviso.id IS 'Random; worth nothing without the server''s signature.';
COMMENT ON COLUMN aviso.tipo IS 'What was changed: the correo, or the password.';
COMMENT ON COLUMN aviso.correo IS 'The correo before the change: where the mail goes, and what the link puts back.';
COMMENT ON COLUMN aviso.reversible IS 'Whether there is a link: not when an admin made the change.';
COMMENT ON COLUMN aviso.direccion IS 'Address of the client that made the change.';
COMMENT ON COLUMN aviso.creacion IS 'When the change was made.';
COMMENT ON COLUMN aviso.expira IS 'When the link ends if it is not used, 72 hours after the mail left; the row is deleted a week later.';
COMMENT ON COLUMN aviso.proximo IS 'When the mail is tried next; null once it left or was given up.';
COMMENT ON COLUMN aviso.intentos IS 'How often the mail was tried.';
COMMENT ON COLUMN aviso.enviado IS 'When the mail server took the mail.';
COMMENT ON COLUMN aviso.error IS 'Why the last try failed.';
