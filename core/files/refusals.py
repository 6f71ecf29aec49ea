"""What is wrong in a file, line by line."""

from msgspec import Struct

MAX_ERRORS = 100


class LineError(Struct, frozen=True):
    """What is wrong in a line, by the number of the line where its record begins."""

    linea: int
    campo: str
    mensaje: str


class InvalidFile(Exception):
    """Nothing was loaded; `errores` has the first MAX_ERRORS errors by line: {linea, campo, mensaje}."""

    def __init__(self, errores: list[LineError]) -> None:
        super().__init__(errores)
        self.errores = errores


class Refusals:
    """Collects what is wrong; once `hopeless`, it makes no sense to read on."""

    def __init__(self) -> None:
        self.errores: list[LineError] = []
        self.hopeless = False

    def refuse(self, line: int, mensaje: str, campo: str = "cuerpo", *, hopeless: bool = False) -> None:
        self.errores.append(LineError(line, campo, mensaje))
        self.hopeless = self.hopeless or hopeless or len(self.errores) >= MAX_ERRORS

    def raise_if_any(self) -> None:
        """Raises InvalidFile, with the errors in the order of their lines."""
        if self.errores:
            raise InvalidFile(sorted(self.errores, key=lambda error: error.linea)[:MAX_ERRORS])
