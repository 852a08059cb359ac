"""The pages."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path
from django.views.i18n import JavaScriptCatalog, set_language

from trafficmon.accounts.sign_in import SignInView
from trafficmon.dashboard import (
    alert_actions,
    alerts,
    cameras,
    drawings,
    groups,
    judging,
    layouts,
    pictures,
    pool,
    system,
    views,
)

urlpatterns = [
    path("", views.wall, name="wall"),
    path("layouts/", layouts.keep_layout, name="keep-layout"),
    path("layouts/<int:layout_id>/forget/", layouts.forget_layout, name="forget-layout"),
    path("layouts/<int:layout_id>/order/", layouts.order_layout, name="order-layout"),
    path("layouts/<int:layout_id>/prefer/", layouts.prefer_layout, name="prefer-layout"),
    path("login/", SignInView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("alerts/", alerts.alert_list, name="alerts"),
    path("alerts/<int:alert_id>/", alerts.alert_page, name="alert"),
    path("alerts/<int:alert_id>/acknowledge/", alert_actions.acknowledge_alert, name="acknowledge"),
    path("alerts/export/", alert_actions.export_alerts, name="export_alerts"),
    *(
        path(f"alerts/{action}/", alert_actions.act, {"action": action}, name=f"{action}_alerts")
        for action in alert_actions.ACTIONS
    ),
    path("groups/", groups.group_list, name="groups"),
    path("judging/", judging.judging_page, name="judging"),
    path("cameras/<int:camera_id>/", cameras.camera_page, name="camera"),
    path("cameras/<int:camera_id>/activity/", cameras.camera_activity, name="camera-activity"),
    path("cameras/<int:camera_id>/switch/", cameras.switch, name="camera-switch"),
    path("cameras/<int:camera_id>/snapshot/", cameras.snapshot, name="camera-snapshot"),
    path("cameras/<int:camera_id>/thumbnail/", cameras.thumbnail, name="camera-thumbnail"),
    path("cameras/<int:camera_id>/drawing/", drawings.save_drawing, name="camera-drawing"),
    path("keys/", pool.keys_page, name="keys"),
    path("keys/now/", pool.keys_now, name="keys-now"),
    path("keys/switch/", pool.switch_key, name="switch-key"),
    path("keys/letters/send/", pool.act_on_letters, {"action": "send"}, name="send-letters"),
    path("keys/letters/drop/", pool.act_on_letters, {"action": "drop"}, name="drop-letters"),
    path("system/", system.system_page, name="system"),
    path("system/now/", system.system_now, name="system-now"),
    path("evidence/<int:evidence_id>/", pictures.evidence, name="evidence"),
    path("frames/<str:frame_key>/", pictures.frame, name="frame"),
    path("favicon.ico", views.icon, name="icon"),
    path("language/", set_language, name="set-language"),
    path("texts.js", JavaScriptCatalog.as_view(), name="texts"),
]
