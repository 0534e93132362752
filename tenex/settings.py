"""All settings, everything from the environment. `docs/` holds the table that a test keeps complete."""

import base64
import hashlib
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from tenex import env, logs, periodic
from tenex.lib import buckets, limits

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("TENEX_DATA_DIR", str(BASE_DIR / "var"))).absolute()

# --- what runs -----------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=not env.text("SECRET_KEY"))
REHEARSAL = env.flag("TENEX_REHEARSAL")
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, low=1, high=65535)
ROLE = env.choice("TENEX_ROLE", "all", ("all", "web", "media", "worker", "beat"))
TIME_SCALE = env.number("TENEX_TIME_SCALE", 1.0)
if TIME_SCALE != 1.0 and not (DEBUG or REHEARSAL):
    raise ImproperlyConfigured("TENEX_TIME_SCALE is for rehearsals: set TENEX_REHEARSAL=1 or DEBUG=1")
REHEARSAL_EARS = env.choice("TENEX_REHEARSAL_EARS", "script", ("script", "whisper"))

# --- secrets -------------------------------------------------------------------------------------


def _kept_secret(name: str, fresh: str) -> str:
    """A random text kept in a file of the data folder, `fresh` at first: what it opens survives a restart.

    Only the owner can read the file, from its first moment on; it is whole or not there at all.
    """
    path = DATA_DIR / name
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        DATA_DIR.mkdir(parents=True, exist_ok=True)
        draft = DATA_DIR / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails if another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
        return path.read_text(encoding="ascii")


SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Set it to a long random text (or DEBUG=1 to try out)."
        )
    SECRET_KEY = _kept_secret("secret_key", secrets.token_urlsafe(48))

SECRETS_KEYS = env.keys("SECRETS_KEYS")
"""Key encryption keys by id; the first one seals the data keys of workspaces, the others only open them."""
if not SECRETS_KEYS:
    from tenex.engines.bootstrap import is_embedded

    # The data keys are rows of the database: a key that is made here must be where all who share it look.
    if not (DEBUG or REHEARSAL or is_embedded("postgres")):
        raise ImproperlyConfigured(
            "SECRETS_KEYS is not set: it encrypts the credentials that workspaces give us. Make one with"
            " `python3 -c \"import base64, os; print('k1:' + base64.b64encode(os.urandom(32)).decode())\"`,"
            " give the same one to every process, and keep a copy apart from the backups."
        )
    SECRETS_KEYS = env.keys(
        f"{DATA_DIR / 'secrets_keys'}",
        _kept_secret("secrets_keys", f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"),
    )


def derived_key(purpose: str) -> bytes:
    """32 bytes for one purpose, derived from SECRET_KEY; keys of two purposes tell nothing of each other."""
    return hashlib.sha256(f"tenex:{purpose}:{SECRET_KEY}".encode()).digest()


API_KEY_PEPPER = env.text("API_KEY_PEPPER").encode() or derived_key("api-key")
STREAM_TOKEN_KEY = derived_key("stream-token")
PHONE_HASH_KEY = env.text("PHONE_HASH_KEY").encode() or derived_key("phone-hash")
"""Keys the do-not-call list: set it before SECRET_KEY is ever changed, or the list is empty after it."""
SLOT_ID_KEY = derived_key("slot-id")
JWT_KEY = derived_key("jwt")
CURSOR_KEY = derived_key("cursor")
SIGNED_URL_KEY = derived_key("signed-url")
ANSWER_KEY = derived_key("idempotent-answer")
JWT_TTL_S = env.integer("JWT_TTL_S", 3600, low=60)

# --- where we are reached ------------------------------------------------------------------------
PUBLIC_BASE_URL = env.base_url("PUBLIC_BASE_URL", f"http://127.0.0.1:{PORT}")
MEDIA_BASE_URL = env.text("MEDIA_BASE_URL", PUBLIC_BASE_URL.replace("http", "ws", 1)).rstrip("/")
if urlsplit(MEDIA_BASE_URL).scheme not in {"ws", "wss"}:
    raise ImproperlyConfigured("MEDIA_BASE_URL must be a ws:// or wss:// URL")
ALLOWED_HOSTS = env.items(
    "ALLOWED_HOSTS", "*" if DEBUG else f"{urlsplit(PUBLIC_BASE_URL).hostname},127.0.0.1,localhost"
)
OWN_ORIGIN = f"{urlsplit(PUBLIC_BASE_URL).scheme}://{urlsplit(PUBLIC_BASE_URL).netloc}"
CSRF_TRUSTED_ORIGINS = [OWN_ORIGIN]
BROWSER_ORIGINS = env.origins("BROWSER_ORIGINS")
"""Sites whose pages may open event streams and browser sessions with a token; nobody else's, by default."""
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("TRUST_PROXY_HEADERS") else None
_https = PUBLIC_BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https and not DEBUG else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Django --------------------------------------------------------------------------------------
INSTALLED_APPS = [
    # Only its `runserver` is wanted of it; Twisted and Autobahn cost every other process a second and 25 MB.
    *(["daphne"] if sys.argv[1:2] == ["runserver"] else []),
    "tenex.admin_app.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "storages",
    "django_htmx",
    "tenex",
    "tenex.pages",
    "tenex.workspaces",
    "tenex.events",
    "tenex.webhooks",
    "crm",
    "voice",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "tenex.urls"
ASGI_APPLICATION = "tenex.asgi.application"
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
            ]
        },
    }
]
AUTH_USER_MODEL = "workspaces.User"
SESSION_ENGINE = "tenex.pages.session_store"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/console/"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.BODY_BYTES
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]

# --- pages: nothing comes from another host, nothing runs that is not a file of ours ---------------
_media_elsewhere = (
    [MEDIA_BASE_URL] if urlsplit(MEDIA_BASE_URL).netloc != urlsplit(PUBLIC_BASE_URL).netloc else []
)  # who talks to an agent in the console talks to the media process
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF, *_media_elsewhere],
    "media-src": [CSP.SELF, "blob:"],
    "worker-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}

# --- engines (tenex.engines starts embedded ones when the URLs are absent) -----------------------
DATABASE_URL = env.text("DATABASE_URL", "postgres://tenex@127.0.0.1/tenex")
DATABASES = {"default": {**env.database(DATABASE_URL), "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}}
_pool = env.integer("DATABASE_POOL_SIZE", 32, low=0, high=500)
if _pool:
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"]["OPTIONS"],  # type: ignore[dict-item]
        "pool": {"min_size": 1, "max_size": _pool, "timeout": 10},
    }
REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "tenex"},
    }
}

# --- files ---------------------------------------------------------------------------------------
MEDIA_ROOT = DATA_DIR / "media"
AWS_STORAGE_BUCKET_NAME = env.text("AWS_STORAGE_BUCKET_NAME")
AWS_S3_ENDPOINT_URL = env.text("AWS_S3_ENDPOINT_URL") or None
AWS_S3_REGION_NAME = env.text("AWS_S3_REGION_NAME") or None
AWS_S3_ADDRESSING_STYLE = env.text("AWS_S3_ADDRESSING_STYLE") or None
AWS_S3_SIGNATURE_VERSION = "s3v4"
if AWS_STORAGE_BUCKET_NAME:  # recordings play from the bucket, and from no other
    SECURE_CSP["media-src"] = [
        *SECURE_CSP["media-src"],
        *buckets.origins(
            AWS_STORAGE_BUCKET_NAME, AWS_S3_ENDPOINT_URL, AWS_S3_REGION_NAME, AWS_S3_ADDRESSING_STYLE
        ),
    ]
AWS_DEFAULT_ACL = None
AWS_QUERYSTRING_EXPIRE = 300
AWS_S3_FILE_OVERWRITE = False
# Amazon's own buckets encrypt by themselves; other servers may refuse to be asked for it.
RECORDING_ENCRYPTION = env.choice(
    "RECORDING_ENCRYPTION",
    "backend" if AWS_STORAGE_BUCKET_NAME and not AWS_S3_ENDPOINT_URL else "envelope",
    ("envelope", "backend", "off"),
)
RECORDING_KMS_KEY_ID = env.text("RECORDING_KMS_KEY_ID")
if RECORDING_ENCRYPTION == "backend" and not AWS_STORAGE_BUCKET_NAME:
    raise ImproperlyConfigured(
        "RECORDING_ENCRYPTION=backend needs a bucket; files are encrypted by `envelope`"
    )
if RECORDING_KMS_KEY_ID and RECORDING_ENCRYPTION != "backend":
    raise ImproperlyConfigured("RECORDING_KMS_KEY_ID is for RECORDING_ENCRYPTION=backend")
AWS_S3_OBJECT_PARAMETERS = (
    buckets.encryption(RECORDING_KMS_KEY_ID) if RECORDING_ENCRYPTION == "backend" else {}
)
_recordings: dict[str, object] = (
    {"BACKEND": "tenex.bucket.Bucket"}
    if AWS_STORAGE_BUCKET_NAME
    else {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": MEDIA_ROOT}}
)
STORAGES = {
    "default": _recordings,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "tenex.pages.static_files.StaticFiles"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# --- Celery: it only wakes; every promise is a row (promises.md R1) -------------------------------
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "tenex"
# Celery would close the process's whole connection pool after each task, also under threads that are at work
# (tenex.webhooks.pump). Tasks give their own connection back instead: tenex.celery.
CELERY_DB_REUSE_MAX = 10**9
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # A dead broker must cost the sender of a wake-up a moment, not its request.
    {"socket_connect_timeout": 1.0, "max_retries": 1, "interval_start": 0, "interval_max": 0.1}
    if CELERY_BROKER_URL.startswith(("redis", "unix", "rediss"))
    else {}
)
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = periodic.beat_schedule(TIME_SCALE)
WORKER_CONCURRENCY = CELERY_WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", 4, low=1, high=64)

# --- e-mail: notices to the people of a workspace; without EMAIL_HOST they are printed ---------------
_EMAIL_HOST = env.text("EMAIL_HOST")
_EMAIL_SECURITY = env.choice("EMAIL_SECURITY", "starttls", ("none", "starttls", "tls"))
MAILERS: dict[str, dict[str, object]] = {
    "default": {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": _EMAIL_HOST,
            "port": env.integer("EMAIL_PORT", 587, low=1, high=65535),
            "username": env.text("EMAIL_USER"),
            "password": env.text("EMAIL_PASSWORD"),
            "use_tls": _EMAIL_SECURITY == "starttls",
            "use_ssl": _EMAIL_SECURITY == "tls",
            "timeout": 10,
        },
    }
    if _EMAIL_HOST
    else {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
}
EMAIL_CONFIGURED = bool(_EMAIL_HOST)
"""Without a mail server nothing goes to leads: an invitation that is printed invites nobody."""
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", f"tenex@{urlsplit(PUBLIC_BASE_URL).hostname}")

# --- calendars elsewhere --------------------------------------------------------------------------
CALENDAR_TIMEOUT_S = env.number("CALENDAR_TIMEOUT_S", 5.0)
"""The longest that a caller waits for a calendar's server; below the deadline of a tool."""
if not 0 < CALENDAR_TIMEOUT_S < limits.TOOL_DEADLINE_S:
    raise ImproperlyConfigured(f"CALENDAR_TIMEOUT_S must be above 0 and below {limits.TOOL_DEADLINE_S:g}")
GOOGLE_CLIENT_ID = env.text("GOOGLE_CLIENT_ID")
GOOGLE_CLIENT_SECRET = env.text("GOOGLE_CLIENT_SECRET")
GOOGLE_BASE_URL = env.base_url("GOOGLE_BASE_URL") if (DEBUG or REHEARSAL) else ""
"""A server that plays Google, for tests and rehearsals."""

# --- the carrier ---------------------------------------------------------------------------------
TWILIO_ACCOUNT_SID = env.text("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = env.text("TWILIO_AUTH_TOKEN")
TWILIO_AUTH_TOKEN_SECONDARY = env.text("TWILIO_AUTH_TOKEN_SECONDARY")
TWILIO_API_KEY_SID = env.text("TWILIO_API_KEY_SID")
TWILIO_API_KEY_SECRET = env.text("TWILIO_API_KEY_SECRET")
TWILIO_API_BASE_URL = env.base_url("TWILIO_API_BASE_URL")
TWILIO_TIMEOUT_S = env.number("TWILIO_TIMEOUT_S", 10.0)
DELETE_RECORDINGS_AT_CARRIER = env.flag("DELETE_RECORDINGS_AT_CARRIER", default=True)
"""As soon as a recording is in our storage; without it Twilio's copy goes when ours does."""
CARRIER_CALLS_PER_SECOND = env.number("CARRIER_CALLS_PER_SECOND", 1.0)
"""Starts that the account's carrier may see in any second, over all workspaces."""
CARRIER_MAX_CALLS = env.integer("CARRIER_MAX_CALLS", 0, low=0)
"""Live calls of the account, both directions; 0: no limit of ours."""
if CARRIER_CALLS_PER_SECOND <= 0:
    raise ImproperlyConfigured("CARRIER_CALLS_PER_SECOND must be above 0; the kill switch stops dialing")
if TWILIO_API_BASE_URL and not (DEBUG or REHEARSAL or env.flag("TWILIO_ALLOW_CUSTOM_API")):
    raise ImproperlyConfigured(
        "TWILIO_API_BASE_URL points Twilio's account token at another server. "
        "Set TWILIO_ALLOW_CUSTOM_API=1 if you mean it."
    )

# --- the model -----------------------------------------------------------------------------------
OPENAI_API_KEY = env.text("OPENAI_API_KEY")
OPENAI_BASE_URL = env.base_url("OPENAI_BASE_URL", "https://api.openai.com/v1")
REALTIME_MODEL = env.text("REALTIME_MODEL", "gpt-realtime-2.1")
VERDICT_MODEL = env.text("VERDICT_MODEL", "gpt-5.2-mini")
TRANSCRIPTION_MODEL = env.text("TRANSCRIPTION_MODEL", "gpt-transcribe")
SPEECH_MODEL = env.text("SPEECH_MODEL", "gpt-4o-mini-tts")
"""Renders the opening and the other lines of our own; empty: the packaged voice, which speaks English."""
EMBEDDINGS = env.choice("EMBEDDINGS", "auto", ("auto", "openai", "local"))
"""What finds passages by their meaning; auto: OpenAI's model with OPENAI_API_KEY, else the packaged one."""
REALTIME_AUDIO = env.choice("REALTIME_AUDIO", "pcmu", ("pcmu", "pcm24k"))
REALTIME_CONNECT_TIMEOUT_S = env.number("REALTIME_CONNECT_TIMEOUT_S", 5.0)
VERDICT_TIMEOUT_S = env.number("VERDICT_TIMEOUT_S", 60.0)

# --- what calls cost: for budgets and forecasts, nothing is charged by it ---------------------------
MODEL_PRICES_USD = env.prices(
    "MODEL_PRICES_USD",
    # List prices of gpt-realtime-2.1, USD per million tokens.
    "text_in=4,text_cached=0.4,text_out=24,audio_in=32,audio_cached=0.4,audio_out=64",
)
# A minute of a call in USD, begun ones count whole: the call to a US number, its media stream, its recording.
CARRIER_USD_PER_MINUTE = env.number("CARRIER_USD_PER_MINUTE", 0.021)

STREAM_HEARTBEAT_S = env.number("STREAM_HEARTBEAT_S", 15.0)
STREAM_SLOW_READER_S = env.number("STREAM_SLOW_READER_S", 30.0)
"""A reader of an event stream that takes nothing for so long is cut off, and resumes."""

# --- limits of this process ----------------------------------------------------------------------
MAX_CALLS_PER_PROCESS = env.integer("MAX_CALLS_PER_PROCESS", 200, low=1)
MEDIA_SLOTS = env.integer("MEDIA_SLOTS", 0, low=0)
"""Live calls of all media processes together; 0: as many as those that are alive take."""
MODEL_SLOTS = env.integer("MODEL_SLOTS", 0, low=0)
"""Realtime sessions that the model's account may have at a time; 0: no limit of ours."""
INBOUND_RESERVE = env.integer("INBOUND_RESERVE", 2, low=0)
"""Slots that the dialer leaves free for people who call us (at most half of what there is)."""
BREAKER_MIN_CALLS = env.integer("BREAKER_MIN_CALLS", 20, low=1)
BREAKER_SHARE = env.number("BREAKER_SHARE", 0.5)
"""A batch is paused when this share of its latest calls failed, of so many at least."""
DRAIN_TIMEOUT_S = env.number("DRAIN_TIMEOUT_S", 3600.0 if not DEBUG else 10.0)
WS_PING_INTERVAL_S = env.number("WS_PING_INTERVAL_S", 20.0)
WS_PING_TIMEOUT_S = env.number("WS_PING_TIMEOUT_S", 60.0)
DIAL_GRACE_S = env.number("DIAL_GRACE_S", 60.0)
"""How long an ambiguous dial stays unknown before the carrier's call list decides (promises.md R3)."""
CALL_LEASE_S = env.number("CALL_LEASE_S", 15.0)
"""A media process renews the lease of its live calls; a call without one is swept."""
FINALIZE_LEASE_S = env.number("FINALIZE_LEASE_S", 15.0)
"""A worker that finalizes a call renews this lease; without it another worker goes on with the call."""
WEBHOOK_ALLOWED_PRIVATE_CIDRS = env.items(
    "WEBHOOK_ALLOWED_PRIVATE_CIDRS", "127.0.0.0/8,::1/128" if DEBUG or REHEARSAL else ""
)
KNOWLEDGE_ALLOWED_PRIVATE_CIDRS = env.items("KNOWLEDGE_ALLOWED_PRIVATE_CIDRS", "")
"""Networks from which documents may be fetched although they are private: an intranet of one's own."""
FAILPOINT = env.text("FAILPOINT") if (DEBUG or REHEARSAL) else ""

# --- monitoring: what a scrape may read ------------------------------------------------------------
METRICS_TOKEN = env.text("METRICS_TOKEN")
"""Who has it reads /healthz/metrics; without one there is no such address."""
if METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("METRICS_TOKEN must have 20 characters at least: whoever guesses it reads on")
WORKER_METRICS_PORT = env.integer("WORKER_METRICS_PORT", 0, low=0, high=65535)
"""Where a worker gives its own figures, on HOST; 0: nowhere."""
MONITORED = ("voice.monitoring", "crm.monitoring", "tenex.webhooks.monitoring", "tenex.monitoring.broker")
"""Modules that say a part of what is so of the installation (tenex.monitoring.installation)."""

# --- HTTP API ------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenex.rest.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenex.rest.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["tenex.rest.renderers.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["tenex.rest.renderers.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "tenex.rest.schema.Schema",
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tenex.rest.renderers.OurTypes",
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "tenex.rest.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tenex voice",
    "DESCRIPTION": "AI phone agents that call and answer leads, qualify them and write what they learned "
    "to the CRM.\n\nModels reach the same services over MCP: streamable HTTP at `/mcp`, with the same "
    "credentials, scopes and limits.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVERS": [{"url": PUBLIC_BASE_URL}],
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "POSTPROCESSING_HOOKS": ["tenex.api.openapi.finish"],
}
MCP_TOOLS = ("voice.mcp", "crm.mcp", "tenex.api.mcp")
"""Modules with the tools of `/mcp`, in the order in which clients see them (tenex.mcp.registry)."""
RATE_LIMIT_PER_MINUTE = env.integer("RATE_LIMIT_PER_MINUTE", limits.REQUESTS_PER_MINUTE, low=1)

MESSAGE_TAGS = {20: "info", 25: "good", 30: "warn", 40: "bad"}  # levels of messages -> tones of notices

DEFAULT_EXCEPTION_REPORTER = "tenex.pages.error_reports.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "tenex.pages.error_reports.Filter"

# --- logs: static messages with fields; no transcripts, prompts, keys, whole numbers --------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("LOG_FORMAT", "console" if DEBUG else "json", ("console", "json"))
LOGGING = logs.configured(level=LOG_LEVEL, as_json=LOG_FORMAT == "json")
