"""Errors of logins, tokens and keys, and of what their owner may not do."""

from core.problems.kinds import Problem, kind

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
