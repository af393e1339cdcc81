from django.contrib.admin.apps import AdminConfig


class OrganizationAdminConfig(AdminConfig):
    """Django's admin with OrganizationAdminSite."""

    default_site = "organizations.admin_base.OrganizationAdminSite"
