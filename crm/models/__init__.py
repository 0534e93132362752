from crm.models.calendars import Calendar, Meeting, MeetingStatus
from crm.models.consents import Consent, ConsentPurpose
from crm.models.fields import CustomField, FieldType
from crm.models.imports import (
    ImportStatus,
    LeadImport,
    LeadImportError,
    LeadImportKey,
    LeadImportPart,
    LeadImportRow,
    OnDuplicate,
)
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
from crm.models.segments import Segment, SegmentKind, SegmentMember

__all__ = [
    "Calendar",
    "Chunk",
    "Company",
    "Consent",
    "ConsentPurpose",
    "CustomField",
    "Document",
    "DocumentStatus",
    "FieldType",
    "FollowUp",
    "FollowUpStatus",
    "ImportStatus",
    "Lead",
    "LeadImport",
    "LeadImportError",
    "LeadImportKey",
    "LeadImportPart",
    "LeadImportRow",
    "Meeting",
    "MeetingStatus",
    "OnDuplicate",
    "Qualification",
    "Segment",
    "SegmentKind",
    "SegmentMember",
    "Stage",
    "Suppression",
    "SuppressionSource",
    "TimelineEntry",
]
