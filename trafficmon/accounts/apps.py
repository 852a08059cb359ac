from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "trafficmon.accounts"
    verbose_name = _("accounts")

    def ready(self) -> None:
        """Hear of sign-ins where Django tells of them, whichever page they come through."""
        from trafficmon.accounts import sign_in

        user_logged_in.connect(sign_in.note_sign_in)
        user_logged_out.connect(sign_in.note_sign_out)
        user_login_failed.connect(sign_in.note_failure)
