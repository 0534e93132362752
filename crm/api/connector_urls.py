"""Routes under /api/v1/connectors."""

from django.urls import URLPattern, path

from crm.api import connectors, meetings

urlpatterns: list[URLPattern] = [
    path("connectors", connectors.ConnectorList.as_view()),
    path("connectors/authorized", connectors.ConnectorAuthorized.as_view()),
    path("connectors/meetings", meetings.MeetingList.as_view()),
    path("connectors/meetings/<uuid:meeting_id>", meetings.MeetingDetail.as_view()),
    path("connectors/meetings/<uuid:meeting_id>/cancel", meetings.MeetingCancel.as_view()),
    path("connectors/meetings/<uuid:meeting_id>/reschedule", meetings.MeetingReschedule.as_view()),
    path("connectors/<uuid:connector_id>", connectors.ConnectorDetail.as_view()),
    path("connectors/<uuid:connector_id>/test", connectors.ConnectorTest.as_view()),
    path("connectors/<uuid:connector_id>/discover", connectors.ConnectorDiscovery.as_view()),
    path("connectors/<uuid:connector_id>/authorize", connectors.ConnectorConsent.as_view()),
    path("connectors/<uuid:connector_id>/slots", meetings.ConnectorSlots.as_view()),
    path("connectors/<uuid:connector_id>/meetings", meetings.ConnectorMeetings.as_view()),
]
