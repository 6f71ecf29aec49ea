DROP TABLE revocacion;
DROP TABLE sesion;
