-- What:   a unique index on the id of a sale, in place of a plain one; those on username, correo, nombre and apellido, and
--         on the correo of aviso, anew, in the small letters of the collation minusculas. Where one is unique, another
--         stands in while it is built anew.
-- Why:    0010_alter_usuario_venta tells. On a Citus cluster venta_id_key cannot be unique: see docs/scale-out.md.
-- Locks:  venta SHARE UPDATE EXCLUSIVE, usuario SHARE UPDATE EXCLUSIVE, aviso SHARE UPDATE EXCLUSIVE, while each index is
--         built: reads and writes go on. From then until the new release has replaced the one before, that one reads
--         usuario from end to end at each login.
-- Undo:   brings back the indexes as they were. It fails where the database's own locale takes two users' names for one.
-- transactional: false
-- squawk-disable-assume-in-transaction

SET lock_timeout = '0';
SET statement_timeout = '0';

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS venta_id_key ON venta (id);

DROP INDEX CONCURRENTLY IF EXISTS venta_id_idx;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_username_otra_key
    ON usuario (lower(username COLLATE minusculas) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_username_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_username_key
    ON usuario (lower(username COLLATE minusculas) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_username_otra_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_correo_otra_key
    ON usuario (lower(correo COLLATE minusculas) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_correo_key;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS usuario_correo_key
    ON usuario (lower(correo COLLATE minusculas) text_pattern_ops);

DROP INDEX CONCURRENTLY IF EXISTS usuario_correo_otra_key;

DROP INDEX CONCURRENTLY IF EXISTS usuario_nombre_idx;

CREATE INDEX CONCURRENTLY IF NOT EXISTS usuario_nombre_idx
    ON usuario (lower(nombre COLLATE minusculas) text_pattern_ops, id);

DROP INDEX CONCURRENTLY IF EXISTS usuario_apellido_idx;

CREATE INDEX CONCURRENTLY IF NOT EXISTS usuario_apellido_idx
    ON usuario (lower(apellido COLLATE minusculas) text_pattern_ops, id);

DROP INDEX CONCURRENTLY IF EXISTS aviso_correo_idx;

CREATE INDEX CONCURRENTLY IF NOT EXISTS aviso_correo_idx
    ON aviso (lower(correo COLLATE minusculas) text_pattern_ops)
    WHERE reversible;
