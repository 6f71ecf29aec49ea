-- Who may do what in the database, as three roles:
--
--   the owner       who runs this file and `scripts/ventas migrate`: all is theirs;
--   ventas_app      as whom the application runs: the columns and verbs that its statements need (docs/statements.md), no
--                   DDL, and of the audit nothing but to add and to read;
--   ventas_lectura  for reports: users, sales and the audit, to read; no password hashes, and nothing of sessions, links,
--                   keys and attempts.
--
-- Run it as the owner, after each `scripts/ventas migrate` and before the new release starts:
--
--   psql -v ON_ERROR_STOP=1 -f docs/roles.sql "$DATABASE_URL"
--
-- Roles are the whole cluster's. Where it has another database of the same product, say staging beside production, each has
-- roles of its own:
--
--   sed 's/ventas_\(app\|lectura\)/staging_\1/g' docs/roles.sql | psql -v ON_ERROR_STOP=1 "$STAGING_URL"
--
-- All or nothing of it happens, and it may be run any number of times. The first time the owner needs CREATEROLE, or
-- somebody who has it makes the two roles. Neither gets a password here: \password ventas_app. Then the application's
-- DATABASE_URL is that of ventas_app, and the release's, which migrates, stays the owner's. A table or column that a
-- migration adds is closed to both roles until this file, of the same release, opens what it needs; default privileges
-- would open all of it.

BEGIN;

DO $$
DECLARE
    setting text;
BEGIN
    IF current_schema() IS DISTINCT FROM 'public' THEN
        RAISE 'search_path leads to %: the tables belong in public', current_schema();
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ventas_app') THEN
        CREATE ROLE ventas_app LOGIN;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ventas_lectura') THEN
        CREATE ROLE ventas_lectura LOGIN;
    END IF;
    -- The timeouts of docs/deploy.md, in this database only. The application asks for its own, except through a pooler.
    BEGIN
        FOREACH setting IN ARRAY ARRAY[
            'ventas_app statement_timeout 15s', 'ventas_app lock_timeout 1s',
            'ventas_app idle_in_transaction_session_timeout 60s', 'ventas_app client_connection_check_interval 2s',
            'ventas_lectura statement_timeout 60s', 'ventas_lectura lock_timeout 1s',
            'ventas_lectura idle_in_transaction_session_timeout 60s',
            'ventas_lectura client_connection_check_interval 2s']
        LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET %I = %L', split_part(setting, ' ', 1), current_database(),
                           split_part(setting, ' ', 2), split_part(setting, ' ', 3));
        END LOOP;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING 'the timeouts of the roles are left as they are: only who made the roles may set them';
    END;
    -- TEMPORARY is for the table in which an import waits until all of its rows are known to be good.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, ventas_app, ventas_lectura', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO ventas_app', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO ventas_lectura', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC, ventas_app, ventas_lectura;

DO $$
DECLARE
    ours text;
BEGIN
    -- Every table and sequence but those of an extension, such as the views of Citus: they are another owner's.
    FOR ours IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass
          FROM pg_class AS c
         WHERE c.relnamespace = 'public'::regnamespace
           AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
           AND NOT EXISTS (SELECT 1 FROM pg_depend AS d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, ventas_app, ventas_lectura', ours);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO ventas_app, ventas_lectura;

-- The application.

GRANT SELECT,
      INSERT (username, password, nombre, apellido, direccion, telefono, correo, estado, rol),
      UPDATE (username, password, nombre, apellido, direccion, telefono, correo, estado, rol, bloqueado, actualizacion,
              version, segundo_factor),
      DELETE
   ON usuario TO ventas_app;

GRANT SELECT (id, usuario_id, venta, ventas_productos, creacion, version),
      INSERT (id, usuario_id, venta, ventas_productos, creacion),
      UPDATE (venta, ventas_productos, creacion, actualizacion, version),
      DELETE
   ON venta TO ventas_app;

GRANT USAGE
   ON SEQUENCE venta_id_seq TO ventas_app;

GRANT SELECT,
      INSERT (usuario_id, expira, renovable, direccion, agente),
      UPDATE (uso, expira, contador, direccion, agente, fin),
      DELETE
   ON sesion TO ventas_app;

GRANT SELECT,
      INSERT (usuario_id, clave, huella, estado, cabeceras, cuerpo),
      UPDATE (creacion, expira, huella, estado, cabeceras, cuerpo),
      DELETE
   ON idempotencia TO ventas_app;

GRANT SELECT,
      INSERT (usuario_id, accion, afectado_id, direccion, agente, peticion, antes, despues),
      UPDATE (direccion, agente, peticion, antes, despues)  -- of a user who is deleted, whose data go
   ON auditoria TO ventas_app;

GRANT SELECT (usuario_id, tipo, id, correo, clave, creacion, expira, proximo, intentos),
      INSERT (usuario_id, tipo, correo, clave, expira),
      UPDATE (id, correo, clave, creacion, expira, proximo, intentos, enviado, error),
      DELETE
   ON enlace TO ventas_app;

GRANT SELECT (usuario_id, id, tipo, correo, reversible, direccion, creacion, expira, proximo, intentos),
      INSERT (usuario_id, tipo, correo, reversible, direccion, creacion, expira),
      UPDATE (expira, proximo, intentos, enviado, error),
      DELETE
   ON aviso TO ventas_app;

GRANT SELECT (usuario_id, secreto, sello, creacion, confirmado, paso, codigos),
      INSERT (usuario_id, secreto, sello),
      UPDATE (secreto, sello, creacion, confirmado, paso, codigos),
      DELETE
   ON factor TO ventas_app;

GRANT SELECT,
      INSERT (usuario_id, nombre, ambitos, huella, creacion, expira),
      UPDATE (uso),
      DELETE
   ON llave TO ventas_app;

GRANT SELECT,
      INSERT (clave, intentos, ultimo, conocida),
      UPDATE (intentos, ultimo, espera, conocida),
      DELETE
   ON intento TO ventas_app;

GRANT SELECT (usuario_id),
      INSERT (usuario_id),
      UPDATE (usuario_id)
   ON eliminacion TO ventas_app;

GRANT SELECT (tabla, meses)
   ON retencion TO ventas_app;

GRANT SELECT (migration_id, applied_at_utc)
   ON _yoyo_migration TO ventas_app;

-- On a Citus cluster (docs/scale-out.md) a new row reaches its shard with every column written out, the defaults too.

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') THEN
        GRANT INSERT ON usuario, venta, sesion, idempotencia, enlace, aviso, eliminacion, auditoria, factor, llave
           TO ventas_app;
        GRANT USAGE ON SEQUENCE usuario_id_seq, sesion_id_seq, auditoria_id_seq, llave_id_seq TO ventas_app;
    END IF;
END
$$;

-- Reports.

GRANT SELECT (id, username, nombre, apellido, direccion, telefono, correo, creacion, estado, rol, bloqueado, actualizacion,
              version, segundo_factor)
   ON usuario TO ventas_lectura;

GRANT SELECT
   ON venta, auditoria TO ventas_lectura;

COMMIT;
