from django.contrib.admin.apps import AdminConfig


class OrganizationAdminConfig(AdminConfig):
    """Django's admin, one organization at a time."""

    default_site = "organizations.admin_base.OrganizationAdminSite"
