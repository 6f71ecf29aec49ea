-- What:   idempotencia, the answers that requests with an Idempotency-Key got.
-- Why:    a repeated request gets the first answer again and has no second effect; the row is written in the
--         same transaction as the effect, so that both are there or neither is.
-- Locks:  usuario SHARE ROW EXCLUSIVE, for the foreign key: writes to it wait, a few milliseconds.
-- Undo:   drops the table: a request repeated across the rollback has its effect twice.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

CREATE TABLE idempotencia (
    usuario_id bigint      NOT NULL,
    clave      text        COLLATE "C" NOT NULL,
    creacion   timestamptz NOT NULL DEFAULT now(),
    expira     timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    huella     bytea,
    estado     bigint,
    cabeceras  jsonb,
    cuerpo     bytea,
    CONSTRAINT idempotencia_pkey PRIMARY KEY (usuario_id, clave),
    CONSTRAINT idempotencia_usuario_id_fkey FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE,
    CONSTRAINT idempotencia_clave_check CHECK (clave ~ '^[!-~]{1,255}$'),
    CONSTRAINT idempotencia_expira_check CHECK (expira > creacion),
    CONSTRAINT idempotencia_huella_check CHECK (octet_length(huella) = 32),
    CONSTRAINT idempotencia_estado_check CHECK (estado BETWEEN 200 AND 299)
);

CREATE INDEX idempotencia_expira_idx ON idempotencia (expira);

COMMENT ON TABLE idempotencia IS 'The answers that requests with an Idempotency-Key got, to be given again for 24 hours.';
COMMENT ON COLUMN idempotencia.usuario_id IS 'Whose request; keys of different users never meet.';
COMMENT ON COLUMN idempotencia.clave IS 'The Idempotency-Key: visible ASCII.';
COMMENT ON COLUMN idempotencia.creacion IS 'When the first request with the key began.';
COMMENT ON COLUMN idempotencia.expira IS 'When the key is free again.';
COMMENT ON COLUMN idempotencia.huella IS 'SHA-256 of the request: its method, path, query, media type and body. Null, as is the answer, only within the transaction of the request.';
COMMENT ON COLUMN idempotencia.estado IS 'The status of the answer.';
COMMENT ON COLUMN idempotencia.cabeceras IS 'The headers of the answer: a list of pairs.';
COMMENT ON COLUMN idempotencia.cuerpo IS 'The body of the answer, byte for byte.';
