SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

UPDATE usuario
   SET telefono = regexp_replace(telefono, '([0-9])', '00\1')
 WHERE telefono !~ '([^0-9]*[0-9]){3}';
UPDATE usuario
   SET nombre   = regexp_replace(nombre, '^[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+', ''),
       apellido = regexp_replace(apellido, '^[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+', '')
 WHERE nombre ~ '^[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
    OR apellido ~ '^[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]';

ALTER TABLE usuario
    DROP CONSTRAINT usuario_telefono_check,
    DROP CONSTRAINT usuario_nombre_check,
    DROP CONSTRAINT usuario_apellido_check,
    ADD CONSTRAINT usuario_nombre_check CHECK (
        nombre ~ (
            '^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
            '[^\u0001-\u001f\u007f-\u009f]{0,99}$'
        )
        AND nombre IS NFC NORMALIZED
    ),
    ADD CONSTRAINT usuario_apellido_check CHECK (
        apellido ~ (
            '^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
            '[^\u0001-\u001f\u007f-\u009f]{0,99}$'
        )
        AND apellido IS NFC NORMALIZED
    ),
    ADD CONSTRAINT usuario_telefono_check CHECK (
        length(telefono) <= 40 AND telefono ~ '^\+?([ ()./-]*[0-9]){3,20}$'
    );

COMMENT ON COLUMN usuario.telefono IS 'Telephone number as it was given: digits, an optional +, separators.';
