"""Errors of users, sales, sessions, second factors, API keys and mailed links."""

from core.problems.kinds import kind

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
LAST_ADMIN = kind(
    "ultimo_admin",
    409,
    "Último admin",
    "El cambio dejaría usuarios sin ningún admin que no esté bloqueado.",
    "Nombre antes admin a otro usuario.",
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
BAD_LINK = kind(
    "enlace_invalido",
    422,
    "Enlace inválido",
    "El código de un correo no es válido, ya se usó, venció, o lo anuló otro más nuevo o un cambio de contraseña.",
    "Pida otro correo: POST /user/verificar/enviar o POST /login/recuperar.",
)
NO_MAIL = kind(
    "correo_no_configurado",
    503,
    "Correo sin configurar",
    "El servicio no tiene un servidor de correo, así que no puede verificar correos ni recuperar cuentas.",
    "Quien opera el servicio debe fijar `MAIL_URL`; todo lo demás funciona.",
)
