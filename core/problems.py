"""Every error the API can answer, in one table, and its shape on the wire (RFC 9457)."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct


class Kind(Struct, frozen=True):
    """One sort of error: what a program matches on (`codigo`) and what a person reads about it."""

    codigo: str
    status: int
    title: str
    cuando: str
    solucion: str


KINDS: dict[str, Kind] = {}
CONSTRAINTS: dict[str, tuple[Kind, str]] = {}


def kind(
    codigo: str,
    status: int,
    title: str,
    cuando: str,
    solucion: str,
    *,
    constraints: Mapping[str, str] | None = None,
) -> Kind:
    """Adds a sort of error to the page of all of them. A resource's own kinds stand in its handler.

    `constraints` are those of the schema whose violation is this error, each with its sentence."""
    KINDS[codigo] = new = Kind(codigo, status, title, cuando, solucion)
    for constraint, detail in (constraints or {}).items():
        CONSTRAINTS[constraint] = new, detail
    return new


BAD_HTTP = kind(
    "http_invalido",
    400,
    "HTTP inválido",
    "Lo que llegó por la conexión no es HTTP/1.1 (RFC 9112).",
    "Revise el programa que arma la petición.",
)
BAD_JSON = kind(
    "json_invalido",
    400,
    "JSON mal formado",
    "El cuerpo no es JSON (RFC 8259) o no está en UTF-8.",
    "Revise comas, comillas y codificación antes de enviarlo de nuevo.",
)
BAD_TOKEN_REQUEST = kind(
    "peticion_de_token_invalida",
    400,
    "Petición de token inválida",
    "La petición no sigue OAuth 2.0 (RFC 6749, sección 5.2): `error` dice en qué, y `errores` en qué parámetro.",
    "Envíe `username` y `password`, o `grant_type=refresh_token` y `refresh_token`, como textos, una vez cada uno.",
)
BAD_CREDENTIALS = kind(
    "credenciales_invalidas",
    400,
    "Credenciales inválidas",
    "El usuario no existe o la contraseña no es la suya: la respuesta es la misma.",
    "Revise usuario y contraseña, o recupere la cuenta en POST /login/recuperar.",
)
BAD_REFRESH = kind(
    "refresh_token_invalido",
    400,
    "Refresh token inválido",
    "El `refresh_token` está alterado, ya se usó, pasó demasiado tiempo sin uso, o su sesión terminó.",
    "Inicie sesión otra vez, y guarde siempre el último `refresh_token` recibido.",
)
NO_TOKEN = kind(
    "no_autenticado",
    401,
    "Falta el token",
    "El recurso pide un token y la petición no trae `Authorization: Bearer …`.",
    "Obtenga un token en POST /login/ y envíelo en cada petición.",
)
BAD_TOKEN = kind(
    "token_invalido",
    401,
    "Token inválido",
    "El token está alterado, vencido o su sesión terminó.",
    "Inicie sesión otra vez, o renueve la sesión con su refresh_token.",
)
FORBIDDEN = kind(
    "sin_permiso",
    403,
    "Sin permiso",
    "El token es válido, pero su dueño no puede hacer esto.",
    "Use la cuenta dueña del recurso, o pídaselo a un admin.",
)
OUT_OF_SCOPE = kind(
    "ambito_insuficiente",
    403,
    "La llave no alcanza",
    "La llave de API es válida, pero entre lo que puede hacer no está esto.",
    "Use una llave que lo pueda, o inicie sesión: las llaves solo leen y crean ventas.",
)
NEEDS_FACTOR = kind(
    "factor_requerido",
    403,
    "Se requiere el segundo factor",
    "El servicio pide a los admin un segundo factor, y esta cuenta no lo tiene: hasta entonces actúa como usuario.",
    "Actívelo en POST /user/me/factor y POST /user/me/factor/confirmar.",
)
MFA_REQUIRED = kind(
    "segundo_factor_pedido",
    403,
    "Falta el segundo paso",
    "Usuario y contraseña son correctos, y la cuenta pide además un código.",
    "Envíe a POST /login/ el `mfa_token` de la respuesta, el código en `otp` y el `grant_type` del segundo paso.",
)
BAD_CODE = kind(
    "codigo_invalido",
    400,
    "Código inválido",
    "El código no es el que muestra la aplicación ahora, ya se usó, o no es un código de recuperación que quede.",
    "Espere el código siguiente; si siempre falla, revise la hora de su teléfono.",
)
BAD_MFA_TOKEN = kind(
    "mfa_token_invalido",
    400,
    "Segundo paso vencido",
    "El `mfa_token` está alterado o venció, o la contraseña cambió desde el primer paso.",
    "Envíe otra vez usuario y contraseña.",
)
NO_FACTOR = kind(
    "factor_inexistente",
    404,
    "Sin segundo factor",
    "La cuenta no tiene un segundo factor activo, o ninguno espera que lo confirmen.",
    "Para activarlo empiece por POST /user/me/factor.",
)
NO_KEY = kind(
    "llave_inexistente",
    404,
    "Llave inexistente",
    "Ninguna de sus llaves de API tiene ese id.",
    "Vea sus llaves en GET /user/me/llaves.",
)
FACTOR_ACTIVE = kind(
    "factor_activo",
    409,
    "Ya hay un segundo factor",
    "La cuenta tiene un segundo factor activo.",
    "Para cambiar de aplicación o de teléfono quítelo antes en DELETE /user/me/factor.",
)
TOO_MANY_KEYS = kind(
    "demasiadas_llaves",
    409,
    "Demasiadas llaves",
    "La cuenta tiene tantas llaves de API como se admiten.",
    "Revoque las que no use.",
)
HTTPS_REQUIRED = kind(
    "https_requerido",
    403,
    "Se requiere HTTPS",
    "La petición llegó por HTTP sin cifrar, y habría cambiado algo.",
    "Use https://, y cambie el token o la contraseña que envió: pudo haberse leído en el camino.",
)
FOREIGN_PAGE = kind(
    "origen_no_permitido",
    403,
    "Origen no permitido",
    "Un navegador pregunta si una página de otro sitio puede llamar a la API, y `CORS_ORIGINS` no nombra ese sitio.",
    "Quien opera el servicio puede agregarlo a `CORS_ORIGINS`.",
)
WRONG_PASSWORD = kind(
    "password_actual_incorrecto",
    403,
    "Contraseña actual incorrecta",
    "Para cambiar contraseña, correo, segundo factor o llaves hay que enviar la contraseña en `password_actual`.",
    "Envíe `password_actual` con la contraseña vigente.",
)
NOT_VERIFIED = kind(
    "cuenta_sin_verificar",
    403,
    "Cuenta sin verificar",
    "El servicio solo deja iniciar sesión con un correo verificado (`estado` true).",
    "Use el enlace que llegó por correo; un admin también puede verificar la cuenta.",
)
BLOCKED = kind(
    "cuenta_bloqueada",
    403,
    "Cuenta bloqueada",
    "Un admin bloqueó la cuenta: no puede iniciar ni renovar sesiones.",
    "Pida a quien opera el servicio que la desbloquee.",
)
NO_ROUTE = kind(
    "ruta_desconocida",
    404,
    "Ruta desconocida",
    "Ninguna ruta de la API coincide con la de la petición.",
    "Vea las rutas en /docs.",
)
NO_USER = kind(
    "usuario_inexistente",
    404,
    "Usuario inexistente",
    "No hay un usuario con ese id.",
    "Revise el id.",
    constraints={"venta_usuario_id_fkey": "No existe el usuario con ese id"},
)
NO_SALE = kind(
    "venta_inexistente",
    404,
    "Venta inexistente",
    "No hay una venta con ese id entre las que la cuenta puede ver.",
    "Revise el id.",
)
NO_SESSION = kind(
    "sesion_inexistente",
    404,
    "Sesión inexistente",
    "Ninguna de sus sesiones vigentes tiene ese id.",
    "Vea sus sesiones en GET /login/sesiones.",
)
WRONG_METHOD = kind(
    "metodo_no_permitido",
    405,
    "Método no permitido",
    "La ruta existe, pero no con ese método.",
    "Use uno de los métodos de la cabecera `Allow`.",
)
SLOW_BODY = kind(
    "cuerpo_demasiado_lento",
    408,
    "Cuerpo demasiado lento",
    "El cuerpo de la petición no terminó de llegar a tiempo.",
    "Envíela de nuevo por una conexión estable.",
)
SLOW_HEAD = kind(
    "peticion_demasiado_lenta",
    408,
    "Petición demasiado lenta",
    "Las cabeceras de la petición no terminaron de llegar a tiempo.",
    "Envíela de nuevo por una conexión estable.",
)
TAKEN = kind(
    "usuario_repetido",
    409,
    "Usuario repetido",
    "El `username` o el `correo` ya son de otro usuario, sin distinguir mayúsculas.",
    "Elija otro valor para el campo que nombra `detail`.",
    constraints={
        "usuario_username_key": "el username ya está en uso",
        "usuario_correo_key": "el correo ya está en uso",
    },
)
KEY_IN_USE = kind(
    "clave_en_uso",
    409,
    "Clave en uso",
    "La primera petición con esta `Idempotency-Key` todavía no terminó.",
    "Espere lo que dice `Retry-After` y repita la misma petición: recibirá la misma respuesta.",
)
LAST_ADMIN = kind(
    "ultimo_admin",
    409,
    "Último admin",
    "El cambio dejaría usuarios sin ningún admin que no esté bloqueado.",
    "Nombre antes admin a otro usuario.",
)
MOVED_ON = kind(
    "version_distinta",
    412,
    "El recurso cambió",
    "El recurso ya no tiene la versión que pide `If-Match`.",
    "Lea el recurso otra vez y repita el cambio sobre su nuevo `ETag`.",
)
TOO_LARGE = kind(
    "cuerpo_demasiado_grande",
    413,
    "Cuerpo demasiado grande",
    "El cuerpo pasa de los bytes que la ruta acepta.",
    "Divida el envío; para muchas ventas use POST /venta/importar.",
)
LONG_TARGET = kind(
    "direccion_demasiado_larga",
    414,
    "Dirección demasiado larga",
    "La dirección de la petición, con su consulta, pasa de 16 KiB.",
    "Envíe menos parámetros, o más cortos.",
)
WRONG_MEDIA = kind(
    "tipo_de_contenido",
    415,
    "Tipo de contenido no admitido",
    "`Content-Type` no es uno de los que la ruta acepta.",
    "Envíe el tipo que nombra `detail`.",
)
CODED_BODY = kind(
    "cuerpo_comprimido",
    415,
    "Cuerpo comprimido",
    "El cuerpo de la petición viene comprimido: `Content-Encoding` dice cómo.",
    "Envíelo sin comprimir y sin `Content-Encoding`.",
)
UNKNOWN_EXPECTATION = kind(
    "expectativa_desconocida",
    417,
    "Expectativa desconocida",
    "La cabecera `Expect` pide otra cosa que `100-continue`.",
    "Quite la cabecera.",
)
INVALID = kind(
    "datos_invalidos",
    422,
    "Datos inválidos",
    "El JSON, la consulta o un campo no cumplen lo que la ruta pide; `errores` nombra cada campo.",
    "Corrija los campos nombrados y envíe la petición de nuevo.",
)
BAD_LINK = kind(
    "enlace_invalido",
    422,
    "Enlace inválido",
    "El código de un correo no es válido, ya se usó, venció, o lo anuló otro más nuevo o un cambio de contraseña.",
    "Pida otro correo: POST /user/verificar/enviar o POST /login/recuperar.",
)
KEY_REUSED = kind(
    "clave_reutilizada",
    422,
    "Clave reutilizada",
    "La `Idempotency-Key` ya se usó, en las últimas 24 horas, con otra petición.",
    "Envíe una clave nueva con cada petición distinta, y la misma solo para repetir.",
)
THROTTLED = kind(
    "demasiados_intentos",
    429,
    "Demasiados intentos",
    "La cuenta o la dirección de red hizo demasiados intentos; mientras dura la espera ni los correctos se atienden.",
    "Espere los segundos que dice `Retry-After`.",
)
CROWDED = kind(
    "demasiado_a_la_vez",
    429,
    "Demasiado a la vez",
    "La cuenta, o la dirección de red, ya tiene en curso y en espera tantas peticiones de esta clase como se admiten.",
    "Espere a que terminen las anteriores, o lo que dice `Retry-After`, y repita la petición.",
)
LONG_HEAD = kind(
    "cabeceras_demasiado_largas",
    431,
    "Cabeceras demasiado largas",
    "La primera línea y las cabeceras de la petición pasan de 64 KiB.",
    "Envíe menos cabeceras, o más cortas.",
)
CRASHED = kind(
    "error_interno",
    500,
    "Error interno",
    "Un defecto del servidor; quedó registrado con su `request_id`.",
    "Informe el `request_id` a quien opera el servicio.",
)
UNKNOWN_METHOD = kind(
    "metodo_desconocido",
    501,
    "Método desconocido",
    "Ninguna ruta de este servicio conoce el método de la petición.",
    "Revise el método: distingue mayúsculas de minúsculas (RFC 9110, sección 9.1).",
)
UNKNOWN_CODING = kind(
    "codificacion_desconocida",
    501,
    "Codificación desconocida",
    "`Transfer-Encoding` nombra otra codificación que `chunked`.",
    "Envíe el cuerpo con `Content-Length`, o con `Transfer-Encoding: chunked`.",
)
UNKNOWN_VERSION = kind(
    "version_desconocida",
    505,
    "Versión de HTTP desconocida",
    "La petición no es de HTTP/1.1 ni de HTTP/1.0.",
    "Use HTTP/1.1; las versiones 2 y 3 las ofrece, si acaso, el proxy de delante.",
)
NO_MAIL = kind(
    "correo_no_configurado",
    503,
    "Correo sin configurar",
    "El servicio no tiene un servidor de correo, así que no puede verificar correos ni recuperar cuentas.",
    "Quien opera el servicio debe fijar `MAIL_URL`; todo lo demás funciona.",
)
BUSY = kind(
    "servidor_ocupado",
    503,
    "Servidor ocupado",
    "Hay demasiadas peticiones en espera.",
    "Espere lo que dice `Retry-After` y repita la petición.",
)
STOPPING = kind(
    "servidor_apagandose",
    503,
    "Servidor apagándose",
    "El proceso recibió la orden de terminar: atiende lo que ya aceptó, y otro ocupará su lugar.",
    "Repita la petición: la atenderá otro proceso.",
)
DB_AWAY = kind(
    "bd_no_disponible",
    503,
    "Base de datos no disponible",
    "No hay conexión con la base de datos, o se cortó a mitad de la petición.",
    "Espere lo que dice `Retry-After` y repita la petición; las escrituras, con `Idempotency-Key`.",
)
DB_POOL = kind(
    "bd_sin_conexiones",
    503,
    "Sin conexiones libres",
    "Todas las conexiones están en uso, aquí o en la base de datos.",
    "Espere lo que dice `Retry-After` y repita la petición.",
)
DB_RESTARTING = kind(
    "bd_reiniciando",
    503,
    "Base de datos reiniciando",
    "La base de datos se está apagando o arrancando.",
    "Espere lo que dice `Retry-After` y repita la petición; las escrituras, con `Idempotency-Key`.",
)
DB_READ_ONLY = kind(
    "bd_solo_lectura",
    503,
    "Base de datos en solo lectura",
    "La base de datos no acepta cambios por ahora (por ejemplo, durante un cambio de servidor).",
    "Espere lo que dice `Retry-After` y repita la petición.",
)
DB_FULL = kind(
    "bd_sin_espacio",
    503,
    "Base de datos sin espacio",
    "La base de datos no puede guardar más; nada quedó a medias.",
    "Quien opera el servicio debe ampliar el disco; repita la petición después.",
)
DB_BEHIND = kind(
    "bd_numeracion",
    503,
    "Numeración atrasada",
    "La base de datos dio un id que ya está en uso; nada quedó a medias.",
    "Quien opera el servicio debe adelantar las secuencias (docs/upgrades.md); repita la petición después.",
)
DB_SLOW = kind(
    "bd_lenta",
    503,
    "La base de datos tardó demasiado",
    "La consulta pasó de su tiempo o esperó demasiado por un bloqueo; no cambió nada.",
    "Espere lo que dice `Retry-After` y repita la petición, con filtros más estrechos si es una lista.",
)
OUTCOME_UNKNOWN = kind(
    "resultado_desconocido",
    503,
    "No se sabe si el cambio se hizo",
    "La base de datos recibió el cambio y no respondió: pudo haberse hecho, o no.",
    "Consulte si el cambio está antes de repetirlo; con `Idempotency-Key` la repetición es segura.",
)
NOT_MIGRATED = kind(
    "bd_sin_migrar",
    503,
    "Base de datos sin migrar",
    "A la base de datos le faltan migraciones de esta versión.",
    "Quien opera el servicio debe ejecutar `scripts/ventas migrate`.",
)


class Problem(Exception):
    """An error to be answered as application/problem+json.

    `detail` is the Spanish sentence a person reads; `errores` lists the fields at fault (422);
    `extra` adds members beside the standard ones (RFC 9457 section 3.2)."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errores: Sequence[dict[str, object]] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errores = errores
        self.headers = headers
        self.extra = extra or {}

    def body(self, request_id: str, prefix: str = "") -> bytes:
        """The document; `prefix` is what a proxy puts before every path, like /api."""
        content: dict[str, object] = {
            "type": f"{prefix}/problemas#{self.kind.codigo}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "codigo": self.kind.codigo,
            "request_id": request_id,
        }
        if self.errores is not None:
            content["errores"] = self.errores
        return msgspec.json.encode(content | self.extra)


class DatabaseUnavailable(Problem):
    """503: the database cannot serve this now. Whether something changed, `kind` says."""

    def __init__(self, kind: Kind = DB_AWAY, *, retry_after: int = 1) -> None:
        super().__init__(kind, kind.cuando, headers=[(b"retry-after", b"%d" % retry_after)])


def stopping() -> Problem:
    """503: this process takes no more work, or has no more time for it."""
    return Problem(STOPPING, STOPPING.cuando, headers=[(b"retry-after", b"1")])


class ConstraintViolated(Problem):
    """A constraint of the schema refused the change; raised by core.database, by the constraint's name."""


def invalid(campo: str, mensaje: str) -> Problem:
    """422 for one field."""
    return invalid_fields([{"campo": campo, "mensaje": mensaje}])


def invalid_fields(errores: Sequence[dict[str, object]]) -> Problem:
    """422 for several fields; `detail` names them all."""
    campos = ", ".join(dict.fromkeys(str(error["campo"]) for error in errores))
    return Problem(INVALID, f"Datos inválidos: {campos}", errores=errores)


CHECK_NAME = re.compile(r"^[a-z]+_(?P<campo>[a-z_]+)_check$")


def violated(constraint: str) -> ConstraintViolated:
    """The problem that a violated constraint means. A sharded table adds `_102034` to its name."""
    name = re.sub(r"_\d+$", "", constraint)
    if name in CONSTRAINTS:
        return ConstraintViolated(*CONSTRAINTS[name])
    campo = match["campo"] if (match := CHECK_NAME.match(name)) else "cuerpo"
    mensaje = {"campo": campo, "mensaje": "no es un valor permitido"}
    return ConstraintViolated(INVALID, f"Datos inválidos: {campo}", errores=[mensaje])


CHALLENGE = b'Bearer realm="ventas"'


def no_token() -> Problem:
    detail = "Envíe un token en la cabecera Authorization: Bearer"
    return Problem(NO_TOKEN, detail, headers=[(b"www-authenticate", CHALLENGE)])


def bad_token() -> Problem:
    challenge = CHALLENGE + b', error="invalid_token"'
    return Problem(BAD_TOKEN, "El token no es válido o ya venció", headers=[(b"www-authenticate", challenge)])


def forbidden() -> Problem:
    return Problem(FORBIDDEN, "No tiene permiso para hacer esto")


def out_of_scope(ambito: str | None) -> Problem:
    """RFC 6750 section 3.1; without `ambito` no key will do."""
    challenge = CHALLENGE + b', error="insufficient_scope"'
    if ambito is None:
        detail = "Una llave de API no puede hacer esto: inicie sesión"
    else:
        challenge += b', scope="%b"' % ambito.encode()
        detail = f"Esta llave no tiene el ámbito {ambito}"
    return Problem(OUT_OF_SCOPE, detail, headers=[(b"www-authenticate", challenge)])


def needs_factor() -> Problem:
    return Problem(NEEDS_FACTOR, "Para actuar como admin active antes el segundo factor de su cuenta")
