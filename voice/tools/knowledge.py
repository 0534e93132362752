"""Looking things up in the workspace's documents."""

from pydantic import Field

from crm.selectors import knowledge
from voice.tools.arguments import Arguments
from voice.tools.scope import Answer, Scope

_RESULTS = 4


class SearchKnowledge(Arguments):
    query: str = Field(
        min_length=2, max_length=400, description="What the caller wants to know, in a few words."
    )


def search_knowledge(scope: Scope, arguments: SearchKnowledge) -> Answer:
    """Passages with where they stand. Nothing found is an answer too: then the agent must not guess."""
    found = knowledge.search(scope.call.workspace_id, arguments.query, _RESULTS)
    if not found:
        return Answer(
            {"results": [], "note": "Nothing found. Say that you don't know and offer a follow-up."}
        )
    return Answer(
        {
            "results": [
                {
                    "document": citation.document,
                    "heading": citation.heading,
                    "chunk_id": citation.chunk_id,
                    "text": citation.text,
                }
                for citation in found
            ]
        }
    )
