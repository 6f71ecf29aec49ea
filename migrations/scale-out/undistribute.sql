-- What:   the way back from distribute.sql: all rows return to plain tables on the coordinator.
-- Why:    Citus' own undistribute_table refuses tables with identity columns, so each table is copied.
-- Locks:  every table, until the end: stop the API first. The coordinator's disk must hold it all. All or nothing of it
--         happens: what fails may be run again.
-- Undo:   distribute.sql.
-- After:  DROP EXTENSION citus, as docs/scale-out.md says: until then the database is still a cluster's coordinator.
-- Run:    psql -v ON_ERROR_STOP=1 -f undistribute.sql, on the coordinator. Not part of `python app.py migrate`.

BEGIN;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Citus makes enlace, aviso, factor and llave anew where they meet usuario, without their comments: these are kept until then.
CREATE TEMPORARY TABLE said ON COMMIT DROP AS
SELECT c.relname, a.attname, d.description
  FROM pg_description AS d
  JOIN pg_class AS c ON c.oid = d.objoid
  LEFT JOIN pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE d.classoid = 'pg_class'::regclass
   AND c.oid IN ('enlace'::regclass, 'aviso'::regclass, 'factor'::regclass, 'llave'::regclass);

ALTER TABLE venta DROP CONSTRAINT venta_usuario_id_fkey;
ALTER TABLE sesion DROP CONSTRAINT sesion_usuario_id_fkey;
ALTER TABLE idempotencia DROP CONSTRAINT idempotencia_usuario_id_fkey;
ALTER TABLE enlace DROP CONSTRAINT enlace_usuario_id_fkey;
ALTER TABLE aviso DROP CONSTRAINT aviso_usuario_id_fkey;
ALTER TABLE eliminacion DROP CONSTRAINT eliminacion_usuario_id_fkey;
ALTER TABLE factor DROP CONSTRAINT factor_usuario_id_fkey;

-- Of its own accord Citus would make it plain with its foreign key, and fail: its id is an identity column.
CREATE TABLE llave_local (LIKE llave INCLUDING ALL EXCLUDING INDEXES);
INSERT INTO llave_local SELECT * FROM llave;
SELECT setval('llave_local_id_seq', last_value, is_called) FROM llave_id_seq;
DROP TABLE llave;
ALTER TABLE llave_local RENAME TO llave;
ALTER SEQUENCE llave_local_id_seq RENAME TO llave_id_seq;
ALTER TABLE llave ADD CONSTRAINT llave_pkey PRIMARY KEY (usuario_id, id);
CREATE INDEX llave_expira_idx ON llave (expira);

CREATE TABLE eliminacion_local (LIKE eliminacion INCLUDING ALL EXCLUDING INDEXES);
INSERT INTO eliminacion_local SELECT * FROM eliminacion;
DROP TABLE eliminacion;
ALTER TABLE eliminacion_local RENAME TO eliminacion;
ALTER TABLE eliminacion ADD CONSTRAINT eliminacion_pkey PRIMARY KEY (usuario_id);
COMMENT ON TABLE eliminacion IS 'Accounts that are deleted and whose many sales are still being removed; mostly empty.';

CREATE TABLE usuario_local (LIKE usuario INCLUDING ALL EXCLUDING INDEXES);
INSERT INTO usuario_local SELECT * FROM usuario;
SELECT setval('usuario_local_id_seq', last_value, is_called) FROM usuario_id_seq;
DROP TABLE usuario;
ALTER TABLE usuario_local RENAME TO usuario;
ALTER SEQUENCE usuario_local_id_seq RENAME TO usuario_id_seq;
ALTER TABLE usuario ADD CONSTRAINT usuario_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX usuario_username_key ON usuario (lower(username COLLATE minusculas) text_pattern_ops);
CREATE UNIQUE INDEX usuario_correo_key ON usuario (lower(correo COLLATE minusculas) text_pattern_ops);
CREATE INDEX usuario_nombre_idx ON usuario (lower(nombre COLLATE minusculas) text_pattern_ops, id);
CREATE INDEX usuario_apellido_idx ON usuario (lower(apellido COLLATE minusculas) text_pattern_ops, id);
CREATE INDEX usuario_rol_idx ON usuario (rol, id);
ALTER TABLE usuario SET (fillfactor = 90);
COMMENT ON TABLE usuario IS 'The people who use the API.';

CREATE TABLE venta_local (LIKE venta INCLUDING ALL EXCLUDING INDEXES);
INSERT INTO venta_local SELECT * FROM venta;
SELECT setval('venta_local_id_seq', last_value, is_called) FROM venta_id_seq;
DROP TABLE venta;
ALTER TABLE venta_local RENAME TO venta;
ALTER SEQUENCE venta_local_id_seq RENAME TO venta_id_seq;
ALTER TABLE venta ADD CONSTRAINT venta_pkey PRIMARY KEY (usuario_id, id);
CREATE UNIQUE INDEX venta_id_key ON venta (id);
CREATE INDEX venta_creacion_idx ON venta (creacion, id);
CREATE INDEX venta_usuario_id_creacion_idx ON venta (usuario_id, creacion, id);
ALTER TABLE venta SET (fillfactor = 90);
COMMENT ON TABLE venta IS 'The sales.';

CREATE TABLE sesion_local (LIKE sesion INCLUDING ALL EXCLUDING INDEXES);
INSERT INTO sesion_local SELECT * FROM sesion;
SELECT setval('sesion_local_id_seq', last_value, is_called) FROM sesion_id_seq;
DROP TABLE sesion;
ALTER TABLE sesion_local RENAME TO sesion;
ALTER SEQUENCE sesion_local_id_seq RENAME TO sesion_id_seq;
ALTER TABLE sesion ADD CONSTRAINT sesion_pkey PRIMARY KEY (usuario_id, id);
CREATE INDEX sesion_expira_idx ON sesion (expira);
ALTER TABLE sesion SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE sesion IS 'One row per login; the tokens of a session are as good as its row.';

CREATE TABLE idempotencia_local (LIKE idempotencia INCLUDING ALL EXCLUDING INDEXES);
INSERT INTO idempotencia_local SELECT * FROM idempotencia;
DROP TABLE idempotencia;
ALTER TABLE idempotencia_local RENAME TO idempotencia;
ALTER TABLE idempotencia ADD CONSTRAINT idempotencia_pkey PRIMARY KEY (usuario_id, clave);
CREATE INDEX idempotencia_expira_idx ON idempotencia (expira);
ALTER TABLE idempotencia SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE idempotencia IS 'The answers that requests with an Idempotency-Key got, to be given again for 24 hours.';

ALTER TABLE venta ADD CONSTRAINT venta_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE sesion ADD CONSTRAINT sesion_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE idempotencia ADD CONSTRAINT idempotencia_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE enlace ADD CONSTRAINT enlace_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE aviso ADD CONSTRAINT aviso_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE eliminacion ADD CONSTRAINT eliminacion_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE factor ADD CONSTRAINT factor_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;
ALTER TABLE llave ADD CONSTRAINT llave_usuario_id_fkey
    FOREIGN KEY (usuario_id) REFERENCES usuario (id) ON DELETE CASCADE;

DO $$
DECLARE
    words record;
BEGIN
    FOR words IN SELECT relname, attname, description FROM said LOOP
        EXECUTE format('COMMENT ON %s %I%s IS %L',
                       CASE WHEN words.attname IS NULL THEN 'TABLE' ELSE 'COLUMN' END,
                       words.relname, coalesce('.' || quote_ident(words.attname), ''), words.description);
    END LOOP;
END
$$;

-- A copy is owned by whoever runs this: from here on by the owner of all tables, who migrates.
DO $$
DECLARE
    copied text;
BEGIN
    FOREACH copied IN ARRAY ARRAY['llave', 'eliminacion', 'usuario', 'venta', 'sesion', 'idempotencia'] LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO %I', copied, (SELECT tableowner
                                                                FROM pg_tables
                                                               WHERE schemaname = 'public'
                                                                 AND tablename = 'auditoria'));
    END LOOP;
END
$$;
COMMIT;
