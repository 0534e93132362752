from django.urls import URLPattern, path

from tenex.pages import members, session

urlpatterns: list[URLPattern] = [
    path("login", session.Login.as_view(), name="login"),
    path("logout", session.sign_out, name="logout"),
    path("members", members.Members.as_view(), name="members"),
    path("members/<uuid:user_id>", members.Member.as_view(), name="member"),
    path(
        "invitations/<uuid:invitation_id>/revoke",
        members.RevokeInvitation.as_view(),
        name="invitation_revoke",
    ),
    path("join", members.Join.as_view(), name="join"),
    path("workspace", session.choose_workspace, name="choose_workspace"),
]
