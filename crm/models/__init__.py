from crm.models.calendars import Calendar, Meeting, MeetingStatus
from crm.models.knowledge import Chunk, Document, DocumentStatus
from crm.models.leads import (
    Company,
    FollowUp,
    FollowUpStatus,
    Lead,
    Qualification,
    Stage,
    Suppression,
    SuppressionSource,
    TimelineEntry,
)

__all__ = [
    "Calendar",
    "Chunk",
    "Company",
    "Document",
    "DocumentStatus",
    "FollowUp",
    "FollowUpStatus",
    "Lead",
    "Meeting",
    "MeetingStatus",
    "Qualification",
    "Stage",
    "Suppression",
    "SuppressionSource",
    "TimelineEntry",
]
