"""Apart from apps.py, in which Django looks for the one configuration of this package."""

from django.contrib.admin.apps import AdminConfig


class SiteConfig(AdminConfig):
    """Django's admin with our rule of who may enter."""

    default_site = "trafficmon.accounts.site.Site"
