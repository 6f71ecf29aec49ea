-- What:   the collation minusculas, when a sale was last changed, how long the audit is kept, and storage settings; refuses
--         rows that the next migration's unique indexes would refuse, names them, and then changes nothing.
-- Why:    lower() follows the database's own locale: in C, ÑANDÚ and ñandú were two users; in Turkish, I is no capital i.
--         With a collation by name every database tells the same letters apart. The C library's C.UTF-8 is it, or, where
--         that is missing, PostgreSQL's own of the same name: one letter becomes one, as Unicode maps it.
--         A sale's id is to be unique because the database says so. Of processes that have different AUDIT_MONTHS none may
--         drop what another keeps. Storage: docs/performance.md has the figures.
-- Locks:  usuario SHARE UPDATE EXCLUSIVE, sesion SHARE UPDATE EXCLUSIVE, idempotencia SHARE UPDATE EXCLUSIVE,
--         enlace SHARE UPDATE EXCLUSIVE, intento SHARE UPDATE EXCLUSIVE, venta ACCESS EXCLUSIVE: a few milliseconds each, at
--         the end. Before, usuario and venta are read once, which keeps nobody waiting.
-- Undo:   drops the column and the table: when sales were last changed is lost.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '0';

DO $$
BEGIN
    CREATE COLLATION minusculas (provider = libc, locale = 'C.UTF-8');
EXCEPTION WHEN OTHERS THEN
    CREATE COLLATION minusculas (provider = builtin, locale = 'C.UTF-8');
END
$$;

COMMENT ON COLLATION minusculas IS 'For lower(): the same small letters in every database, whatever its locale.';

DO $$
DECLARE
    colliding text;
BEGIN
    SELECT string_agg(words, '; ')
      INTO colliding
      FROM (
           (SELECT 'username of usuario ' || string_agg(id::text, ', ' ORDER BY id)
              FROM usuario
             GROUP BY lower(username COLLATE minusculas)
            HAVING count(*) > 1
             ORDER BY min(id)
             LIMIT 10)
            UNION ALL
           (SELECT 'correo of usuario ' || string_agg(id::text, ', ' ORDER BY id)
              FROM usuario
             GROUP BY lower(correo COLLATE minusculas)
            HAVING count(*) > 1
             ORDER BY min(id)
             LIMIT 10)
            UNION ALL
           (SELECT 'id ' || id || ' of the venta of usuario ' || string_agg(usuario_id::text, ', ' ORDER BY usuario_id)
              FROM venta
             GROUP BY id
            HAVING count(*) > 1
             ORDER BY id
             LIMIT 10)
           ) AS found (words);
    IF colliding IS NOT NULL THEN
        RAISE unique_violation USING MESSAGE =
            'not unique: ' || colliding || ' (ten of each at most are shown): change all but one of each, then migrate';
    END IF;
END
$$;

SET LOCAL statement_timeout = '10s';

ALTER TABLE venta ADD COLUMN actualizacion timestamptz;

COMMENT ON COLUMN venta.actualizacion IS 'When the sale was last changed; null while it never was.';

CREATE TABLE retencion (
    tabla    text        NOT NULL,
    meses    bigint      NOT NULL,
    registro timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT retencion_pkey PRIMARY KEY (tabla),
    CONSTRAINT retencion_tabla_check CHECK (tabla = 'auditoria'),
    CONSTRAINT retencion_meses_check CHECK (meses BETWEEN 0 AND 1200)
);

COMMENT ON TABLE retencion IS 'How long records are kept, the same for every process that would drop some.';
COMMENT ON COLUMN retencion.tabla IS 'Whose records: auditoria.';
COMMENT ON COLUMN retencion.meses IS 'For how many months besides the current one; 0: for ever. AUDIT_MONTHS, as the first process had it.';
COMMENT ON COLUMN retencion.registro IS 'When this was laid down.';

ALTER TABLE usuario SET (fillfactor = 90);

ALTER TABLE venta SET (fillfactor = 90);

ALTER TABLE sesion SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

ALTER TABLE idempotencia SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

ALTER TABLE enlace SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

ALTER TABLE intento SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
