-- What:   eliminacion, the accounts that are deleted and whose many sales are still being removed.
-- Why:    an account goes at once, however many sales it has; they go after it, a few thousand at a time, and nobody
--         waits for that. Its rows are hidden from the moment that it is named here.
-- Locks:  usuario SHARE ROW EXCLUSIVE, for the foreign key: writes to it wait, a few milliseconds.
-- Undo:   removes the accounts that are named here with all that is left of theirs, then drops the table; with
--         millions of sales left that takes minutes.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

CREATE TABLE eliminacion (
    usuario_id bigint      NOT NULL,
    creacion   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT eliminacion_pkey PRIMARY KEY (usuario_id),
    CONSTRAINT eliminacion_usuario_id_fkey FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE
);

COMMENT ON TABLE eliminacion IS 'Accounts that are deleted and whose many sales are still being removed; mostly empty.';
COMMENT ON COLUMN eliminacion.usuario_id IS 'Whose; the row of usuario has no names any more, and goes last.';
COMMENT ON COLUMN eliminacion.creacion IS 'When the account was deleted.';
