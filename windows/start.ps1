# Runs the processes of this host in the foreground; Ctrl-C stops them. Settings are read from .env.
Set-Location (Join-Path $PSScriptRoot "..")
$python = ".venv\Scripts\python.exe"
if (-not (Test-Path $python)) {
    Write-Error 'There is no .venv yet: see docs\operations.md, "The fleet of a host".'
    exit 1
}
& $python manage.py fleet start @args
exit $LASTEXITCODE
