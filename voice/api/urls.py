"""Routes under /api/v1/voice."""

from django.urls import URLPattern, path

from voice.api import agents, batches, calls, live, media, metrics, numbers, profiles, sessions, stream

urlpatterns: list[URLPattern] = [
    path("sessions", sessions.SessionList.as_view()),
    path("sessions/<uuid:session_id>", sessions.SessionDetail.as_view()),
    path("calls", calls.CallList.as_view()),
    path("calls/<uuid:call_id>", calls.CallDetail.as_view()),
    path("calls/<uuid:call_id>/transcript", calls.CallTranscript.as_view()),
    path("calls/<uuid:call_id>/recording", calls.CallRecording.as_view()),
    path("calls/<uuid:call_id>/stream", stream.stream),
    path("calls/<uuid:call_id>/stream-token", live.CallStreamToken.as_view()),
    path("calls/<uuid:call_id>/hangup", live.CallHangup.as_view()),
    path("calls/<uuid:call_id>/say", live.CallSay.as_view()),
    path("calls/<uuid:call_id>/transfer", live.CallTransfer.as_view()),
    path("recordings/<uuid:recording_id>/media", media.play),
    path("batches", batches.BatchList.as_view()),
    path("batches/<uuid:batch_id>", batches.BatchDetail.as_view()),
    path("batches/<uuid:batch_id>/results", batches.BatchResults.as_view()),
    path("batches/<uuid:batch_id>/leads", batches.BatchLeads.as_view()),
    path("batches/<uuid:batch_id>/pause", batches.BatchPause.as_view()),
    path("batches/<uuid:batch_id>/resume", batches.BatchResume.as_view()),
    path("batches/<uuid:batch_id>/cancel", batches.BatchCancel.as_view()),
    path("metrics", metrics.Metrics.as_view()),
    path("metrics/timeseries", metrics.MetricsSeries.as_view()),
    path("agents", agents.AgentList.as_view()),
    path("agents/<uuid:agent_id>", agents.AgentDetail.as_view()),
    path("agents/<uuid:agent_id>/versions", agents.AgentVersionList.as_view()),
    path("agents/<uuid:agent_id>/versions/<int:number>", agents.AgentVersionDetail.as_view()),
    path("agents/<uuid:agent_id>/versions/<int:number>/restore", agents.AgentVersionRestore.as_view()),
    path("profiles", profiles.ProfileList.as_view()),
    path("profiles/<uuid:profile_id>", profiles.ProfileDetail.as_view()),
    path("numbers", numbers.NumberList.as_view()),
    path("numbers/<uuid:number_id>", numbers.NumberDetail.as_view()),
]
