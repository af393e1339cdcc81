"""Django settings, in one file. Values come from the environment (see .env.example)."""

import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from agentidp.devtools import embedded_postgres
from agentidp.env import (
    BASE_DIR,
    DATA_DIR,
    env,
    environment,
    fallbacks,
    require_private_files,
    secret,
    wrong,
)
from agentidp.file_settings import storage_of_files
from core.static_files import are_collected

ENVIRONMENT = environment()
IS_PRODUCTION = ENVIRONMENT == "production"
IS_DEMO = env.flag("AGENTIDP_DEMO", default=False)
DEBUG = env.flag("AGENTIDP_DEBUG", default=False)

VERSION = re.findall(r"^## \[?(\d[^\]\s]*)", (BASE_DIR / "CHANGELOG.md").read_text(), re.M)[0]

# Three separate secrets, so that one can be changed without the others.
if IS_PRODUCTION:
    require_private_files()
SECRET_KEY = secret("AGENTIDP_SECRET_KEY")
SECRET_PEPPER = secret("AGENTIDP_SECRET_PEPPER")
KEY_ENCRYPTION_KEY = secret("AGENTIDP_KEY_ENCRYPTION_KEY")
# Accepted besides the secrets while they change: docs/how-to/rotate-server-secrets.md.
SECRET_KEY_FALLBACKS = fallbacks("AGENTIDP_SECRET_KEY")
SECRET_PEPPER_FALLBACKS = fallbacks("AGENTIDP_SECRET_PEPPER")
KEY_ENCRYPTION_KEY_FALLBACKS = fallbacks("AGENTIDP_KEY_ENCRYPTION_KEY")
if len({SECRET_KEY, SECRET_PEPPER, KEY_ENCRYPTION_KEY}) < 3:
    raise ImproperlyConfigured(
        "AGENTIDP_SECRET_KEY, AGENTIDP_SECRET_PEPPER and AGENTIDP_KEY_ENCRYPTION_KEY must differ."
    )

# The public identity. Every token and the metadata document contain the issuer.
ISSUER = env.matching(
    "AGENTIDP_ISSUER",
    r"https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?",
    "an address like https://id.example.com",
    default="" if IS_PRODUCTION else "http://localhost:3000",
)
if IS_PRODUCTION and not ISSUER.startswith("https://"):
    raise ImproperlyConfigured("AGENTIDP_ISSUER must be set to an https:// address in production.")
ISSUER = ISSUER.rstrip("/")
AUDIENCE = env.matching(
    "AGENTIDP_AUDIENCE", r"[^\s,]+", "one address without spaces", default=f"{ISSUER}/api"
)
ACCESS_TOKEN_LIFETIME = timedelta(
    seconds=env.number("AGENTIDP_ACCESS_TOKEN_SECONDS", default=3600, least=60, most=86_400)
)
CLOCK_LEEWAY = timedelta(seconds=5)
JWKS_MAX_AGE = timedelta(
    seconds=env.number("AGENTIDP_JWKS_MAX_AGE_SECONDS", default=300, least=1, most=86_400)
)
ANALYTICS_ENABLED = env.flag("AGENTIDP_ANALYTICS_ENABLED", default=True)
TRUSTED_PROXY_HOPS = env.number("AGENTIDP_TRUSTED_PROXY_HOPS", default=0, most=20)
TOKEN_EVENT_RETENTION_MONTHS = env.number(
    "AGENTIDP_TOKEN_EVENT_RETENTION_MONTHS", default=0, most=1_200
)
METRICS_TOKEN = env.text("AGENTIDP_METRICS_TOKEN", default="")
if IS_PRODUCTION and METRICS_TOKEN:
    METRICS_TOKEN = secret("AGENTIDP_METRICS_TOKEN")  # only its length protects it from guessing

# Live streams. Without Redis the pollers check the database on their own.
REDIS_URL = env.matching(
    "REDIS_URL", r"(rediss?|unix)://\S+", "an address like redis://host:6379/0"
)
WEB_THREADS = env.number("AGENTIDP_WEB_THREADS", default=8, least=1, most=1_000)
# How long a client may read nothing of a response before its connection is cut.
READER_TIMEOUT_SECONDS = env.number(
    "AGENTIDP_READER_TIMEOUT_SECONDS", default=20, least=1, most=3_600
)
STREAMS_PER_CALLER = env.number("AGENTIDP_STREAMS_PER_CALLER", default=64, least=1)
STREAMS_PER_ORGANIZATION = env.number("AGENTIDP_STREAMS_PER_ORGANIZATION", default=1000, least=1)

ALLOWED_HOSTS = env.names("AGENTIDP_ALLOWED_HOSTS", default=[urlsplit(ISSUER).hostname or ""])
if not all(
    re.fullmatch(r"\*|\.?[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]", each) for each in ALLOWED_HOSTS
):
    raise wrong("AGENTIDP_ALLOWED_HOSTS", "host names, separated by commas, without ports")
if not IS_PRODUCTION:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]", "testserver"]
if DEBUG and set(ALLOWED_HOSTS) - {"localhost", "127.0.0.1", "[::1]", "testserver"}:
    raise ImproperlyConfigured("AGENTIDP_DEBUG must stay off where others can reach the server.")

INSTALLED_APPS = [
    "agentidp",
    "demo",
    "pages",
    "analytics",
    "importers",
    "executions",
    "tokens",
    "agents",
    "organizations",
    "organizations.admin_config.OrganizationAdminConfig",
    "procrastinate.contrib.django",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "core.static_files.CollectedFilesConfig",
    "django.contrib.postgres",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
]

MIDDLEWARE = [
    "core.middleware.PageCompressionMiddleware",
    "core.middleware.RequestRecordMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "core.middleware.BoundedRequestMiddleware",
    "core.middleware.HostMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "organizations.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "agentidp.urls"
WSGI_APPLICATION = "agentidp.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pages.context_processors.navigation",
            ],
        },
    },
]

# For requests only: core/time_limits.py.
STATEMENT_TIMEOUT = env.matching(
    "AGENTIDP_STATEMENT_TIMEOUT", r"[0-9]{1,9}(ms|s|min)?", "a time like 15s", default="15s"
)
# For servers and the worker, between two statements of a transaction: the longest that they do
# there is to try twice to reach a bucket of files, some 14 seconds.
IDLE_TRANSACTION_TIMEOUT = env.matching(
    "AGENTIDP_IDLE_TRANSACTION_TIMEOUT",
    r"[0-9]{1,9}(ms|s|min)?",
    "a time like 60s",
    default="60s",
)
# Database: PostgreSQL only. Without DATABASE_URL the project's own cluster in .data/.
DATABASES = {"default": env.database("DATABASE_URL", embedded_postgres.default_url()) or {}}
DATABASES["default"] |= {
    "ENGINE": "core.postgresql",
    "ATOMIC_REQUESTS": True,
    "CONN_MAX_AGE": None,
}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"] |= {
    "application_name": "agentidp",
    "connect_timeout": 5,
    # A host that is gone is noticed in seconds instead of a quarter of an hour.
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "options": "-c timezone=UTC -c lock_timeout=5s",
}
# The application's role, and the owner that `manage.py migrate` connects as. In production, server
# processes have no access to the owner.
DATABASE_ROLE = DATABASES["default"]["USER"]
DATABASE_OWNER = env.database("AGENTIDP_DATABASE_OWNER_URL")
KNOWS_OWNER = DATABASE_OWNER is not None
if not env.text("DATABASE_URL"):
    DATABASE_OWNER = env.db_url_config(embedded_postgres.owner_url())
if DATABASE_OWNER is not None:
    if DATABASE_OWNER["NAME"] != DATABASES["default"]["NAME"]:
        raise ImproperlyConfigured(
            "AGENTIDP_DATABASE_OWNER_URL and DATABASE_URL must name the same database."
        )
    if DATABASE_OWNER["USER"] == DATABASE_ROLE:
        raise ImproperlyConfigured(
            "AGENTIDP_DATABASE_OWNER_URL and DATABASE_URL must name two different roles."
        )
    DATABASE_OWNER["OPTIONS"] = DATABASES["default"]["OPTIONS"] | DATABASE_OWNER.get("OPTIONS", {})
# The role of `manage.py backup`. It alone can read the rows of every organization.
DATABASE_BACKUP = env.database("AGENTIDP_DATABASE_BACKUP_URL")
if DATABASE_BACKUP is not None and DATABASE_BACKUP["NAME"] != DATABASES["default"]["NAME"]:
    raise ImproperlyConfigured(
        "AGENTIDP_DATABASE_BACKUP_URL and DATABASE_URL must name the same database."
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# People
# Email addresses are unique without regard to case, by an expression constraint.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
AUTH_USER_MODEL = "organizations.User"
AUTHENTICATION_BACKENDS = ["organizations.people.authentication.EmailBackend"]
PASSWORD_HASHERS = ["core.password_hashers.LimitedArgon2PasswordHasher"]
# Per process. A hash takes a core and 100 MB; half of the cores remain for everything else.
PASSWORD_HASHES_AT_ONCE = env.number(
    "AGENTIDP_PASSWORD_HASHES_AT_ONCE",
    default=max(1, min(2, (os.cpu_count() or 1) // 2)),
    least=1,
    most=100,
)
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "core.text.StablePasswordValidator"},
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "core.handlers.csrf_failure"
KNOWN_BROWSER_COOKIE_NAME = "known-browser"
if IS_PRODUCTION:
    KNOWN_BROWSER_COOKIE_NAME = "__Host-known-browser"
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

# Browser protections
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
# No path: that of a link to a new password is a secret, and a proxy's error log has the referrers.
SECURE_REFERRER_POLICY = "strict-origin"
BEHIND_TLS_PROXY = env.flag("AGENTIDP_BEHIND_TLS_PROXY", default=False)
HSTS_INCLUDE_SUBDOMAINS = env.flag("AGENTIDP_HSTS_INCLUDE_SUBDOMAINS", default=False)
HSTS_PRELOAD = env.flag("AGENTIDP_HSTS_PRELOAD", default=False)
if HSTS_PRELOAD and not HSTS_INCLUDE_SUBDOMAINS:
    raise ImproperlyConfigured("AGENTIDP_HSTS_PRELOAD needs AGENTIDP_HSTS_INCLUDE_SUBDOMAINS.")
if IS_PRODUCTION:
    # Plain HTTP is refused, not redirected: a secret in the request has already been exposed.
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    # The operator decides, because browsers apply it to every subdomain for a year.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = HSTS_INCLUDE_SUBDOMAINS
    SECURE_HSTS_PRELOAD = HSTS_PRELOAD
    SILENCED_SYSTEM_CHECKS += ["security.W005", "security.W021"]
    if BEHIND_TLS_PROXY:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # BoundedRequestMiddleware refuses plain HTTP with 403, in place of Django's redirect.
    SILENCED_SYSTEM_CHECKS += ["security.W008"]

# Bodies are small; file uploads have a limit of their own.
MAX_BODY_BYTES = 1024 * 1024
MAX_FORM_BYTES = 64 * 1024  # of pages and OAuth endpoints, and bodies sent without a token
MAX_PATH_BYTES = MAX_QUERY_BYTES = 8192
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
EXECUTION_FILE_MAX_BYTES = env.number("AGENTIDP_FILE_MAX_BYTES", default=100 * 1024**2, least=1)
EXECUTION_FILES_MAX_BYTES = env.number(
    "AGENTIDP_EXECUTION_FILES_MAX_BYTES", default=1024**3, least=1
)
EXECUTION_FILES_MAX_NUMBER = env.number(
    "AGENTIDP_EXECUTION_FILES_MAX_NUMBER", default=1000, least=1
)
# Default limits on what an organization may store. The operator can change them in the admin.
MAX_EXECUTIONS = env.number("AGENTIDP_MAX_EXECUTIONS", default=1_000_000)
MAX_EVENT_BYTES = env.number("AGENTIDP_MAX_EVENT_BYTES", default=10 * 1024**3)
MAX_FILE_BYTES = env.number("AGENTIDP_MAX_FILE_BYTES", default=10 * 1024**3)
EXECUTIONS_PER_MINUTE = env.number("AGENTIDP_EXECUTIONS_PER_MINUTE", default=1200, least=1)
# How long `extended=true` waits for an execution that does not exist yet.
WAIT_FOR_JOB_SECONDS = env.number("AGENTIDP_WAIT_FOR_JOB_SECONDS", default=60, most=3_600)

# Mail. Without it, every link is shown once to the person who created it.
EMAIL_URL = env.text("AGENTIDP_EMAIL_URL", default="")
vars().update(env.mail("AGENTIDP_EMAIL_URL"))
DEFAULT_FROM_EMAIL = env.matching(
    "AGENTIDP_EMAIL_FROM",
    r"[^\r\n]*\S@\S[^\r\n]*",
    "an address like AgentIdP <agentidp@example.com>",
)
if EMAIL_URL and not DEFAULT_FROM_EMAIL:
    raise ImproperlyConfigured(
        "AGENTIDP_EMAIL_URL needs AGENTIDP_EMAIL_FROM, the sender's address."
    )
EMAIL_TIMEOUT = 10

# Background jobs
WORKER_CONCURRENCY = env.number("AGENTIDP_WORKER_CONCURRENCY", default=10, least=1, most=1_000)
# Only the demonstration has jobs of its own; other jobs come from flows.
PROCRASTINATE_IMPORT_PATHS = ["demo.jobs"] if IS_DEMO else []
WORKER_GRACE_SECONDS = env.number("AGENTIDP_WORKER_GRACE_SECONDS", default=20, most=86_400)

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "core.fonts.FontFinder",
]
SERVES_COLLECTED_FILES = (IS_PRODUCTION or IS_DEMO) and are_collected(
    BASE_DIR / "static", STATIC_ROOT
)
# The files of executions, if no bucket is configured. All processes share this folder.
MEDIA_ROOT = env.matching(
    "AGENTIDP_FILES_FOLDER",
    r"/.*" if os.name == "posix" else r".+",
    "the whole path of a folder",
    default=str(DATA_DIR / "files"),
)
if Path(MEDIA_ROOT).is_file():
    raise wrong("AGENTIDP_FILES_FOLDER", "a folder, not a file")
METRICS_FOLDER = env.text("PROMETHEUS_MULTIPROC_DIR")
if METRICS_FOLDER and not Path(METRICS_FOLDER).is_dir():
    raise wrong("PROMETHEUS_MULTIPROC_DIR", "a folder that exists")
if METRICS_FOLDER:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = METRICS_FOLDER  # for prometheus_client
STORAGES = {
    "default": storage_of_files(),
    "staticfiles": {"BACKEND": "core.static_files.HashedStorage"},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tokens.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["organizations.permissions.HasRequiredScopes"],
    "DEFAULT_PARSER_CLASSES": ["core.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["core.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "core.pagination.PagePagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "core.openapi.OperationSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.negotiation.LenientContentNegotiation",
    "EXCEPTION_HANDLER": "core.handlers.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "URL_FORMAT_OVERRIDE": None,
}

PERSON_TOKEN_LIFETIME = timedelta(minutes=15)
REFRESH_TOKEN_LIFETIME = timedelta(hours=12)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": PERSON_TOKEN_LIFETIME,
    "REFRESH_TOKEN_LIFETIME": REFRESH_TOKEN_LIFETIME,
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "UPDATE_LAST_LOGIN": False,
    "USER_ID_CLAIM": "sub",
    "TOKEN_TYPE_CLAIM": "token_use",
    "AUTH_TOKEN_CLASSES": ("tokens.access_tokens.AgentAccess", "tokens.access_tokens.PersonAccess"),
    "SIGNING_KEY": "unused: the key ring signs",
    "CHECK_REVOKE_TOKEN": False,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "AgentIdP",
    "VERSION": VERSION,
    "DESCRIPTION": "The identity provider for AI agents that also shows what those agents do.",
    "LICENSE": {"name": "MIT License", "url": "https://opensource.org/license/mit"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": ISSUER or "http://localhost:3000"}],
    "ENUM_NAME_OVERRIDES": {
        "AgentStatusEnum": "agents.models.Agent.Status",
        "CredentialStatusEnum": "tokens.models.Credential.Status",
        "ExecutionStatusEnum": "executions.models.Execution.Status",
        "FirstStatusEnum": "executions.api.serializers.FIRST_STATUSES",
        "FinalStatusEnum": "executions.api.serializers.FINAL_STATUSES",
        "OrganizationStatusEnum": "organizations.models.Organization.Status",
        "ScopeEnum": "organizations.actors.Scope",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.openapi.complete_schema",
        "core.value_forms.describe_values",
        "core.parameter_examples.show_parameters",
    ],
}

LOGGING_CONFIG = "core.logs.configure"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "level": env.matching(
        "AGENTIDP_LOG_LEVEL", "|".join(LOG_LEVELS), ", ".join(LOG_LEVELS), default="INFO"
    )
}
