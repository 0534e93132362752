from django.urls import URLPattern, path

from tenex.pages import session

urlpatterns: list[URLPattern] = [
    path("login", session.Login.as_view(), name="login"),
    path("logout", session.sign_out, name="logout"),
    path("workspace", session.choose_workspace, name="choose_workspace"),
]
