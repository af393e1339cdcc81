"""The form that registers an agent, filled in."""

FORM = {
    "email": "night-watch@agents.example.com",
    "agent_type": "monitor",
    "version": "1.0.0",
    "owner": "platform",
    "deployment_env": "production",
    "runbook_url": "https://wiki.example.com/runbooks/night-watch",
    "capabilities": "queue:read\nqueue:write",
    "scopes": ["agents:read"],
}
