from django.urls import URLPattern, path

from voice.console import agent_text, agent_versions, agents, calls, live, samples, start

urlpatterns: list[URLPattern] = [
    path("", live.Live.as_view(), name="live"),
    path("calls", calls.CallList.as_view(), name="calls"),
]

urlpatterns += [
    path("agents", agents.AgentList.as_view(), name="agents"),
    path("agents/new", agents.NewAgent.as_view(), name="agent_new"),
    path("agents/<uuid:agent_id>", agent_text.AgentPage.as_view(), name="agent"),
    path("agents/<uuid:agent_id>/preview", agent_text.AgentPreview.as_view(), name="agent_preview"),
    path("agents/<uuid:agent_id>/settings", agents.AgentSettings.as_view(), name="agent_settings"),
    path("agents/<uuid:agent_id>/publish", agent_versions.AgentPublish.as_view(), name="agent_publish"),
    path("agents/<uuid:agent_id>/versions", agent_versions.AgentVersions.as_view(), name="agent_versions"),
    path("agents/<uuid:agent_id>/compare", agent_versions.AgentCompare.as_view(), name="agent_compare"),
    path(
        "agents/<uuid:agent_id>/versions/<int:number>/restore",
        agent_versions.AgentRestore.as_view(),
        name="agent_restore",
    ),
    *(
        path(f"agents/<uuid:agent_id>/{act}", agents.AgentAction.as_view(), {"act": act}, name=f"agent_{act}")
        for act in ("duplicate", "archive")
    ),
]

urlpatterns += [
    path("setup", start.SetUp.as_view(), name="setup"),
    path("voices/<uuid:profile_id>/sample.wav", samples.voice_sample, name="voice_sample"),
    path("start", start.Start.as_view(), name="start"),
    path("start/number", start.StartNumber.as_view(), name="start_number"),
    path("start/ring", start.StartRing.as_view(), name="start_ring"),
    path("start/demo/remove", start.StartDemo.as_view(), name="start_demo_remove"),
]
