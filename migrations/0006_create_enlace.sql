-- What:   enlace, the single-use links that go out by mail: at most one per user and purpose.
-- Why:    the row is both the link and the mail that waits to carry it, so one cannot exist without the other.
--         It holds no secret: the token is signed with the server's key, and made when the mail leaves.
-- Locks:  usuario SHARE ROW EXCLUSIVE, for the foreign key: writes to it wait, a few milliseconds.
-- Undo:   drops the table: links already mailed stop working, and who needs one asks for another.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

CREATE TABLE enlace (
    usuario_id bigint      NOT NULL,
    tipo       text        NOT NULL,
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    correo     text        NOT NULL,
    clave      bytea       NOT NULL,
    creacion   timestamptz NOT NULL DEFAULT now(),
    expira     timestamptz NOT NULL,
    proximo    timestamptz DEFAULT now(),
    intentos   bigint      NOT NULL DEFAULT 0,
    enviado    timestamptz,
    error      text,
    CONSTRAINT enlace_pkey PRIMARY KEY (usuario_id, tipo),
    CONSTRAINT enlace_usuario_id_fkey FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE,
    CONSTRAINT enlace_tipo_check CHECK (tipo IN ('verificacion', 'recuperacion')),
    CONSTRAINT enlace_clave_check CHECK (octet_length(clave) = 32),
    CONSTRAINT enlace_expira_check CHECK (expira > creacion),
    CONSTRAINT enlace_intentos_check CHECK (intentos >= 0),
    CONSTRAINT enlace_error_check CHECK (length(error) <= 200)
);

CREATE INDEX enlace_proximo_idx ON enlace (proximo) WHERE proximo IS NOT NULL;
CREATE INDEX enlace_expira_idx ON enlace (expira);

COMMENT ON TABLE enlace IS 'Single-use links and the mails that carry them: one per user and purpose, the newest.';
COMMENT ON COLUMN enlace.usuario_id IS 'Whose account the link opens.';
COMMENT ON COLUMN enlace.tipo IS 'verificacion proves that the correo is theirs; recuperacion sets a new password.';
COMMENT ON COLUMN enlace.id IS 'Random; a newer link of the same purpose replaces it. Worth nothing without the server''s signature.';
COMMENT ON COLUMN enlace.correo IS 'Where the mail goes; the link ends when the user''s correo changes.';
COMMENT ON COLUMN enlace.clave IS 'SHA-256 of the password''s hash at the time; the link ends when the password changes.';
COMMENT ON COLUMN enlace.creacion IS 'When the link was asked for.';
COMMENT ON COLUMN enlace.expira IS 'When the link ends if it is not used; the row is deleted a week later.';
COMMENT ON COLUMN enlace.proximo IS 'When the mail is tried next; null once it left or was given up.';
COMMENT ON COLUMN enlace.intentos IS 'How often the mail was tried.';
COMMENT ON COLUMN enlace.enviado IS 'When the mail server took the mail.';
COMMENT ON COLUMN enlace.error IS 'Why the last try failed.';
