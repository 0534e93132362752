"""Static files in production: names with a hash, also where modules import each other."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise is not typed
    """A module that is linked by its hashed name and imported by its plain one would run twice."""

    support_js_module_import_aggregation = True
