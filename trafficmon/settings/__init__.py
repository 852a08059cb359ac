"""Django's settings, made from the environment and model_config.yaml."""

from __future__ import annotations

import sys
from pathlib import Path

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

import trafficmon
from trafficmon.core import (
    metrics,  # noqa: F401  # before django_prometheus makes the first of its own
    tracing,
)
from trafficmon.core.logging import catch_what_is_not_logged, configure_structlog, logging_settings
from trafficmon.settings.demo_keys import demo_secrets
from trafficmon.settings.environment import ConfigurationError
from trafficmon.settings.reading import read_configuration

BASE_DIR = Path(__file__).resolve().parent.parent.parent

try:
    _CONFIGURATION = read_configuration(keeps_secrets=sys.argv[1:2] != ["analyze"])
    ENVIRONMENT, DATABASE, MODEL_FILE = (
        _CONFIGURATION.environment,
        _CONFIGURATION.database,
        _CONFIGURATION.model_file,
    )
    RUN_DIR = ENVIRONMENT.run_dir.resolve()
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    _OWN_SECRETS = demo_secrets(RUN_DIR) if ENVIRONMENT.demo else {}
    MEDIA_ROOT = ENVIRONMENT.media_root.resolve()
    MEDIA_ROOT.mkdir(parents=True, exist_ok=True)
    if _CONFIGURATION.is_traced:
        tracing.turn_on(ENVIRONMENT.tracing, version=trafficmon.__version__)
except (ConfigurationError, OSError) as error:
    sys.exit(f"The configuration is wrong:\n{error}")

VERSION = trafficmon.__version__
DEMO = ENVIRONMENT.demo
DEBUG = False
SECRET_KEY = ENVIRONMENT.secret_key.get_secret_value() or _OWN_SECRETS.get("secret_key", "")
FIELD_KEY = ENVIRONMENT.field_key.get_secret_value() or _OWN_SECRETS.get("field_key", "")
DEMO_OPERATOR_PASSWORD = _OWN_SECRETS.get("operator_password", "")
ALLOWED_HOSTS = [*ENVIRONMENT.allowed_hosts, "127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "daphne",
    "trafficmon.accounts.site_app.SiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "corsheaders",
    "django_prometheus",
    "csp",
    "trafficmon.accounts",
    "cameras",
    "assessment",
    "trafficmon.live",
    "trafficmon.back_office",
    "trafficmon.notifications",
    "trafficmon.exports",
    "trafficmon.api",
    "trafficmon.dashboard",
    "workers",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "trafficmon.accounts.language.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "trafficmon.urls"
ASGI_APPLICATION = "trafficmon.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "wall"
LOGOUT_REDIRECT_URL = "login"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "trafficmon.dashboard.context.simulation",
                "trafficmon.dashboard.context.disk",
                "trafficmon.dashboard.context.rights",
            ]
        },
    }
]


DATABASES = {"default": DATABASE}

REDIS_URL = ENVIRONMENT.redis_url or f"unix://{RUN_DIR / 'redis.sock'}"
# What Redis publishes is heard in all of its databases: the name keeps installations that share a server apart.
_redis_database = REDIS_URL.rpartition("/")[2]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": f"live{_redis_database if _redis_database.isdigit() else ''}"},
    }
}

_RABBITMQ = ENVIRONMENT.broker_url.get_secret_value()
CELERY_BROKER_URL = _RABBITMQ or REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# RabbitMQ gives a message to another worker once its own's connection is gone, which silence ends, too.
# Without a bound to its tries, who sends while it is away would wait for ever; the sweep sends again.
_RABBITMQ_OPTIONS = {
    "connect_timeout": 5,
    "write_timeout": 30,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
}
_REDIS_OPTIONS = {
    # Longer than any task may take: a message is delivered again only after its worker is surely gone.
    "visibility_timeout": 300,
    "socket_timeout": 30,
    "socket_keepalive": True,
    "health_check_interval": 15,
}
CELERY_BROKER_TRANSPORT_OPTIONS = _RABBITMQ_OPTIONS if _RABBITMQ else _REDIS_OPTIONS
CELERY_BROKER_HEARTBEAT = 30
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
# No results are kept, so one backend serves all threads: to find it again in each takes a fifth of a second of a core.
CELERY_RESULT_BACKEND_THREAD_SAFE = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_DEFAULT_QUEUE = "results"
CELERY_TASK_QUEUES = {
    name: {"exchange": name, "routing_key": name}
    for name in ("detect", "assess", "assess.urgent", "results", "outbound", "exports")
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(RUN_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "sweep", "schedule": 2.0, "options": {"queue": "results", "expires": 10}},
    "forget-old-frames": {
        "task": "forget_old_frames",
        "schedule": 60.0,
        "options": {"queue": "results", "expires": 60},
    },
}

AUTHENTICATION_BACKENDS = ["trafficmon.accounts.sign_in.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

EMAIL_HOST = ENVIRONMENT.email_host
EMAIL_PORT = ENVIRONMENT.email_port
EMAIL_USE_TLS = ENVIRONMENT.email_security == "starttls"
EMAIL_USE_SSL = ENVIRONMENT.email_security == "tls"
EMAIL_HOST_USER = ENVIRONMENT.email_user
EMAIL_HOST_PASSWORD = ENVIRONMENT.email_password.get_secret_value()
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = ENVIRONMENT.email_from
EMAIL_ID_HOST = ENVIRONMENT.email_from.rpartition("@")[2]

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.behind_tls
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.behind_tls else None
SECURE_HSTS_SECONDS = 31536000 if ENVIRONMENT.behind_tls else 0
SECURE_SSL_REDIRECT = ENVIRONMENT.behind_tls
# Load balancers, containers and Prometheus ask these within the network, over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^(api/)?health/", r"^metrics$"]
# Whether the host's other names speak HTTPS too, and for ever, is not for this service to say.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
# Front ends elsewhere come by API token: no answer to them is made with a visitor's cookie, and nothing done for them.
CORS_ALLOWED_ORIGINS = list(ENVIRONMENT.cors_origins)
CORS_ALLOW_CREDENTIALS = False
CORS_EXPOSE_HEADERS = ["Link"]
CORS_URLS_REGEX = r"^/(api|evidence|frames)/"
CSRF_FAILURE_VIEW = "trafficmon.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = ENVIRONMENT.language
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LANGUAGE_COOKIE_AGE = 31536000
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = ENVIRONMENT.behind_tls
LOCALE_PATHS = [BASE_DIR / "trafficmon" / "locale"]
TIME_ZONE = ENVIRONMENT.time_zone
USE_I18N = USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = RUN_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
MEDIA_URL = "/media/"
WHITENOISE_USE_FINDERS = True
LLM_IS_SIMULATED = ENVIRONMENT.llm_simulated
WEIGHTS_DIR = ENVIRONMENT.weights_dir.resolve()

LOGGING = logging_settings(ENVIRONMENT.log_level, ENVIRONMENT.log_format)
configure_structlog()
if ENVIRONMENT.log_format == "json":
    catch_what_is_not_logged()
PROMETHEUS_EXPORT_MIGRATIONS = False
