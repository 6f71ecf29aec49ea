"""Errors of HTTP itself: what is no request, and what no route, method or version takes."""

from core.problems.kinds import kind

BAD_HTTP = kind(
    "http_invalido",
    400,
    "HTTP inválido",
    "Lo que llegó por la conexión no es HTTP/1.1 (RFC 9112).",
    "Revise el programa que arma la petición.",
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
NO_ROUTE = kind(
    "ruta_desconocida",
    404,
    "Ruta desconocida",
    "Ninguna ruta de la API coincide con la de la petición.",
    "Vea las rutas en /docs.",
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
