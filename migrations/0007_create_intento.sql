-- What:   intento, how many attempts each account and each client address has made lately.
-- Why:    all processes share the counts, so that more processes mean no more guesses. Unlogged: it is written at
--         every login and worth nothing after a crash, which empties it.
-- Locks:  none: nothing else is touched.
-- Undo:   drops the table: every wait ends.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

CREATE UNLOGGED TABLE intento (
    clave    bytea            NOT NULL,
    intentos double precision NOT NULL,
    ultimo   timestamptz      NOT NULL,
    espera   timestamptz      NOT NULL DEFAULT '-infinity',
    conocida boolean          NOT NULL DEFAULT false,
    CONSTRAINT intento_pkey PRIMARY KEY (clave),
    CONSTRAINT intento_clave_check CHECK (length(clave) = 16),
    CONSTRAINT intento_intentos_check CHECK (intentos >= 0 AND intentos < 'infinity')
) WITH (fillfactor = 50);

COMMENT ON TABLE intento IS 'Attempts to log in, register or have mail sent, counted; see docs/accounts.md.';
COMMENT ON COLUMN intento.clave IS 'Keyed hash of what is counted: an account, an address, or one at the other. Reads back to neither.';
COMMENT ON COLUMN intento.intentos IS 'How many, less those forgotten since.';
COMMENT ON COLUMN intento.ultimo IS 'When the last one was; forgetting goes on from here.';
COMMENT ON COLUMN intento.espera IS 'Until then the next one is refused.';
COMMENT ON COLUMN intento.conocida IS 'Whether the account has logged in from this address: the account''s limit for strangers does not concern it.';
