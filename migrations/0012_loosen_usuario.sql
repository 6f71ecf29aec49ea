-- What:   a telefono of one digit or two, and names around which there are spaces.
-- Why:    phones paste numbers and names as they are, and a telefono of 0 is one that is not known; the API trims names
--         and writes telephones plainly, and refuses no longer what it can mend.
-- Locks:  usuario ACCESS EXCLUSIVE, a few milliseconds. The rows that are there are not looked at: the checks before
--         were stricter, so each of them holds.
-- Undo:   puts the stricter checks back: a telefono of fewer than three digits gets leading zeros, a name loses the spaces
--         before it.

SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '10s';

ALTER TABLE usuario
    DROP CONSTRAINT usuario_telefono_check,
    DROP CONSTRAINT usuario_nombre_check,
    DROP CONSTRAINT usuario_apellido_check,
    ADD CONSTRAINT usuario_telefono_check CHECK (
        length(telefono) <= 40 AND telefono ~ '^\+?([ ()./-]*[0-9]){1,20}$'
    ) NOT VALID,
    ADD CONSTRAINT usuario_nombre_check CHECK (
        length(nombre) <= 100
        AND nombre ~ (
            '^[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
            '[^\u0001-\u001f\u007f-\u009f]*$'
        )
        AND nombre IS NFC NORMALIZED
    ) NOT VALID,
    ADD CONSTRAINT usuario_apellido_check CHECK (
        length(apellido) <= 100
        AND apellido ~ (
            '^[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
            '[^\u0001-\u001f\u007f-\u009f]*$'
        )
        AND apellido IS NFC NORMALIZED
    ) NOT VALID;

COMMENT ON COLUMN usuario.telefono IS 'Telephone number: digits, an optional +, separators; 0 when it is not known.';
