"""Routes under /api/v1/knowledge."""

from django.urls import URLPattern, path

from crm.api import knowledge

urlpatterns: list[URLPattern] = [
    path("documents", knowledge.DocumentList.as_view()),
    path("documents/<uuid:document_id>", knowledge.DocumentDetail.as_view()),
    path("documents/<uuid:document_id>/file", knowledge.DocumentFile.as_view()),
    path("documents/<uuid:document_id>/versions", knowledge.DocumentVersions.as_view()),
    path("documents/<uuid:document_id>/reingest", knowledge.DocumentReingest.as_view()),
    path("documents/<uuid:document_id>/chunks", knowledge.ChunkList.as_view()),
    path("documents/<uuid:document_id>/chunks/<uuid:chunk_id>", knowledge.ChunkDetail.as_view()),
    path("search", knowledge.Search.as_view()),
    path("health", knowledge.CorpusHealth.as_view()),
]
