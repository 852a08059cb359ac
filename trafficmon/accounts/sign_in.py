"""Signing in: by whatever page, every try goes through `Backend`, is throttled, and is written to the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from trafficmon.accounts import audit, throttle
from trafficmon.accounts.access import Caller, address_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role


class Backend(ModelBackend):
    """Django's, throttled; and administrators have every right in the admin."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        name, address = username or "", address_of(request) if request else None
        wait = throttle.count_try(name, address)
        if wait:
            _note_wait(request, wait, name)
            raise PermissionDenied
        user = super().authenticate(request, username, password, **kwargs)
        if user is not None:
            throttle.give_back(name, address)
        return user

    def has_perm(self, user_obj: User | AnonymousUser, perm: str, obj: Any = None) -> bool:
        return _administers(user_obj) or super().has_perm(user_obj, perm, obj)

    def has_module_perms(self, user_obj: User | AnonymousUser, app_label: str) -> bool:
        return _administers(user_obj) or super().has_module_perms(user_obj, app_label)


def _administers(user: User | AnonymousUser) -> bool:
    return isinstance(user, User) and user.may(Role.ADMINISTRATOR)


def _note_wait(request: HttpRequest | None, wait: throttle.Wait, name: str) -> None:
    if request is not None:
        vars(request)["sign_in_wait"] = wait.seconds
    if wait.begins:
        _note_unknown(request, "user.sign_in_throttled", name)


def seconds_to_wait(request: HttpRequest | None) -> int:
    """For how long the try that this request made was refused; 0 where its password was looked at."""
    return int(vars(request).get("sign_in_wait", 0)) if request is not None else 0


class SignInForm(AuthenticationForm):
    """Says how long to wait where there were too many tries."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _(
            "User name and password do not match, or the account is disabled. Try again, or ask an administrator."
        ),
    }

    def get_invalid_login_error(self) -> ValidationError:
        seconds = seconds_to_wait(self.request)
        return ValidationError(_told(-(-seconds // 60))) if seconds else super().get_invalid_login_error()


def _told(minutes: int) -> str:
    text = ngettext(
        "There were too many tries. Try again in %(n)d minute.",
        "There were too many tries. Try again in %(n)d minutes.",
        minutes,
    )
    return text % {"n": minutes}


class AdminSignInForm(SignInForm):
    """The same for the admin's own page, which lets in those who may enter the admin."""

    required_css_class = AdminAuthenticationForm.required_css_class

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if not user.may_enter_admin:
            raise self.get_invalid_login_error()


class SignInView(LoginView):
    """The page; answers with status 429 to who has tried too often."""

    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        answer: HttpResponse = super().form_invalid(form)
        seconds = seconds_to_wait(self.request)
        if seconds:
            answer.status_code, answer["Retry-After"] = 429, str(seconds)
        return answer


def note_sign_in(request: HttpRequest, user: User, **_signal: object) -> None:
    """Receives Django's user_logged_in."""
    audit.record(Caller(user, address=address_of(request)), "user.sign_in", user)


def note_sign_out(request: HttpRequest, user: User | None, **_signal: object) -> None:
    """Receives Django's user_logged_out."""
    if user is not None:
        audit.record(Caller(user, address=address_of(request)), "user.sign_out", user)


def note_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_signal: object) -> None:
    """Receives Django's user_login_failed. What fits no user is not kept: people type passwords there.

    Tries that were refused unseen are not noted, or anybody could fill the log.
    """
    if seconds_to_wait(request):
        return
    _note_unknown(request, "user.sign_in_failed", credentials.get("username") or "")


def _note_unknown(request: HttpRequest | None, action: str, name: str) -> None:
    tried = User.objects.filter(username=name).first()
    audit.record_unknown(action, tried, address_of(request) if request else None)
