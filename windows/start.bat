@echo off
rem Runs the processes of this host in the foreground; Ctrl-C stops them. Settings are read from .env.
cd /d "%~dp0.."
if not exist .venv\Scripts\python.exe (
  echo There is no .venv yet: see docs\operations.md, "The fleet of a host".
  exit /b 1
)
.venv\Scripts\python.exe manage.py fleet start %*
