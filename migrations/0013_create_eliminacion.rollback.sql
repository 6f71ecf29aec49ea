SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '0';

DELETE FROM usuario
 WHERE id IN (SELECT usuario_id FROM eliminacion);

DROP TABLE eliminacion;
