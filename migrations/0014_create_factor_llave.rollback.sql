SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

DELETE FROM aviso
 WHERE tipo NOT IN ('correo', 'password');

ALTER TABLE aviso
    DROP CONSTRAINT aviso_tipo_check,
    ADD CONSTRAINT aviso_tipo_check CHECK (tipo IN ('correo', 'password'));

COMMENT ON TABLE aviso IS 'The mails that tell of a changed correo or password, and the links that they carry.';
COMMENT ON COLUMN aviso.tipo IS 'What was changed: the correo, or the password.';

DROP TABLE llave;

DROP TABLE factor;

ALTER TABLE usuario DROP COLUMN segundo_factor;
