DROP TABLE usuario;
