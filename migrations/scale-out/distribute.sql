-- What:   spreads the sales, sessions and idempotency keys over the nodes of a Citus cluster, by usuario_id; usuario and
--         eliminacion are copied to every node. docs/scale-out.md says what must be there before, and what changes.
-- Why:    one machine no longer writes fast enough.
-- Locks:  every table is closed to readers and writers until the end, some seconds and the time of copying: stop the
--         API first. All or nothing of it happens: what fails may be run again.
-- Undo:   undistribute.sql.
-- Run:    psql -v ON_ERROR_STOP=1 -f distribute.sql, on the coordinator. Not part of `python app.py migrate`.

-- What stays on the coordinator, and why:
-- auditoria: local; lists read it across all users, newest first, and a month is dropped at once.
-- enlace: local; a row or two per user, and a queue of mails that is read across all users.
-- aviso: local, as enlace is.
-- factor: local; a row per user at most, read at their second step alone.
-- llave: local; some rows per user, read once every few minutes and process.
-- retencion: local; a row, for whoever drops old records.
-- intento: local; a few counters, unlogged, that belong to no user.

BEGIN;
-- What refers to a table on every node is made in one transaction only if it is made shard by shard.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Citus makes enlace, aviso, factor and llave anew where they meet usuario, without their comments: these are kept until then.
CREATE TEMPORARY TABLE said ON COMMIT DROP AS
SELECT c.relname, a.attname, d.description
  FROM pg_description AS d
  JOIN pg_class AS c ON c.oid = d.objoid
  LEFT JOIN pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE d.classoid = 'pg_class'::regclass
   AND c.oid IN ('enlace'::regclass, 'aviso'::regclass, 'factor'::regclass, 'llave'::regclass);

-- Shards cannot hold an id unique among all of them: from here on only the sequence of the coordinator does. Never insert a
-- sale with an id of one's own. Whoever changes a sale names its owner too, so that one row changes at most.
DROP INDEX venta_id_key;
CREATE INDEX venta_id_key ON venta (id);

-- A foreign key to a table that is not yet on every node would stop what follows.
ALTER TABLE venta DROP CONSTRAINT venta_usuario_id_fkey;
ALTER TABLE sesion DROP CONSTRAINT sesion_usuario_id_fkey;
ALTER TABLE idempotencia DROP CONSTRAINT idempotencia_usuario_id_fkey;
ALTER TABLE enlace DROP CONSTRAINT enlace_usuario_id_fkey;
ALTER TABLE aviso DROP CONSTRAINT aviso_usuario_id_fkey;
ALTER TABLE eliminacion DROP CONSTRAINT eliminacion_usuario_id_fkey;
ALTER TABLE factor DROP CONSTRAINT factor_usuario_id_fkey;
ALTER TABLE llave DROP CONSTRAINT llave_usuario_id_fkey;

SELECT create_reference_table('usuario');
SELECT create_reference_table('eliminacion');
SELECT create_distributed_table('venta', 'usuario_id', colocate_with => 'none');
SELECT create_distributed_table('sesion', 'usuario_id', colocate_with => 'venta');
SELECT create_distributed_table('idempotencia', 'usuario_id', colocate_with => 'venta');

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

-- The rows that were copied are still on the coordinator too, where nobody sees them; password hashes are among them.
SELECT truncate_local_data_after_distributing_table('venta');
SELECT truncate_local_data_after_distributing_table('sesion');
SELECT truncate_local_data_after_distributing_table('idempotencia');
SELECT truncate_local_data_after_distributing_table('eliminacion');
SELECT truncate_local_data_after_distributing_table('usuario');
COMMIT;
