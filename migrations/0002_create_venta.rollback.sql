DROP TABLE venta;
