-- Row-level security, a second lock that docs/security.md weighs: a program that works for one person at a time sees and changes
-- that person's rows alone, also where a statement of its own forgets to say whose.
--
--   ventas_persona  for such programs: it says SET app.usuario_id = '7' first, and sees user 7's sales, sessions, names of
--                   Idempotency-Keys and links; without it, none at all. It may read and change sales, and read the others but for secrets.
--   ventas_app      the API, as before: its statements name the owner themselves, and many people's share a round trip.
--   ventas_lectura  reports, as before.
--
-- Run it as the owner, after docs/roles.sql and again after each run of that, as that is run; by somebody with CREATEROLE the first
-- time. Staging beside production: the sed of docs/roles.sql, with ventas_\(app\|lectura\|persona\). To take it back: ALTER TABLE … DISABLE ROW LEVEL SECURITY on each of the eight.

BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    IF current_schema() IS DISTINCT FROM 'public' THEN
        RAISE 'search_path leads to %: the tables belong in public', current_schema();
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'ventas_persona') THEN
        CREATE ROLE ventas_persona LOGIN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO ventas_persona', current_database());
    FOREACH name IN ARRAY ARRAY['venta', 'sesion', 'idempotencia', 'enlace', 'aviso', 'eliminacion', 'factor', 'llave'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('DROP POLICY IF EXISTS %I ON %I', name || '_propias', name);
        EXECUTE format('DROP POLICY IF EXISTS %I ON %I', name || '_todas', name);
        EXECUTE format('CREATE POLICY %I ON %I TO ventas_persona'
                       ' USING (usuario_id = (SELECT nullif(current_setting(''app.usuario_id'', true), '''')::bigint))',
                       name || '_propias', name);
        EXECUTE format('CREATE POLICY %I ON %I TO ventas_app, ventas_lectura USING (true)', name || '_todas', name);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO ventas_persona;

GRANT SELECT,
      INSERT (usuario_id, venta, ventas_productos, creacion),
      UPDATE (venta, ventas_productos, actualizacion, version),
      DELETE
   ON venta TO ventas_persona;

GRANT SELECT
   ON sesion TO ventas_persona;

GRANT SELECT (usuario_id, clave, creacion, expira, estado)
   ON idempotencia TO ventas_persona;

GRANT SELECT (usuario_id, tipo, correo, creacion, expira, enviado)
   ON enlace TO ventas_persona;

COMMIT;
