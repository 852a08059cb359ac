"""Forms of the cameras' pages in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.utils.translation import gettext_lazy as _

from cameras.drawings import Drawing, read_drawing
from cameras.forms import CameraForm
from cameras.models import Camera, CameraGroup
from cameras.transfer import MOST_BYTES, Row, UnusableFile, read_rows


class CameraPageForm(CameraForm):
    """The camera with all that is drawn on it, which somebody may be drawing at the same time."""

    drawing_version = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["drawing_version"] = read_drawing(self.instance).version

    def clean(self) -> dict[str, Any]:
        """Refuse to write over what was drawn after the page was opened."""
        cleaned = super().clean()
        now = Camera.objects.select_for_update().filter(pk=self.instance.pk).first()
        known = cleaned.get("drawing_version") or Drawing().version
        if now is not None and read_drawing(now).version != known:
            message = _(
                "What is drawn on this camera was changed after you opened this page. Nothing was saved: open the page "
                "again and repeat your change."
            )
            raise forms.ValidationError(message, code="drawn_meanwhile")
        return cleaned


class CameraActionForm(ActionForm):
    """Beside the actions of the list: the group that cameras are put into."""

    group = forms.ModelChoiceField(
        label=_("Group:"), queryset=CameraGroup.objects.all(), required=False, empty_label=_("none")
    )


class ImportForm(forms.Form):
    """A file of cameras."""

    file = forms.FileField(label=_("File"), help_text=_("CSV or JSON, as an export has it; at most 1000 cameras."))
    rows: list[tuple[int, Row]]
    is_json: bool

    def clean_file(self) -> object:
        """Read it; where it is no file of cameras the form says why."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_("The file is larger than 5 MB."))
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError(_("The file is not in UTF-8: save it so.")) from None
        self.is_json = text.lstrip().startswith(("[", "{"))
        try:
            self.rows = read_rows(text, is_json=self.is_json)
        except UnusableFile as error:
            raise forms.ValidationError([each.message for each in error.mistakes]) from None
        return file
