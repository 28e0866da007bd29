"""Routes from files to reports: at once, or as a job that is fetched later."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from dfjax.serve import upload as uploads
from dfjax.serve.jobs import Job
from dfjax.serve.service import Service
from dfjax.serve.upload import Upload

router = APIRouter(prefix="/v1")


@router.post("/detect")
async def detect(request: Request) -> JSONResponse:
    """The report on a picture or a short video."""
    service: Service = request.app.state.service
    service.decoder.check_room()
    return JSONResponse(await service.detect(await _read(request)))


@router.post("/jobs")
async def start_job(request: Request) -> JSONResponse:
    """A job that reports on a picture or a video."""
    service: Service = request.app.state.service
    upload = await _read(request)
    job = await service.jobs.start(upload.data, upload.name)
    href = f"/v1/jobs/{job.id}"
    content = {"id": job.id, "status": job.status, "href": href}
    return JSONResponse(content, 202, {"location": href})


@router.get("/jobs/{job_id}")
async def show_job(request: Request, job_id: str) -> JSONResponse:
    """The progress of a job; its report when it is done."""
    jobs = request.app.state.service.jobs
    job = jobs.get(job_id)
    described, report = _describe(job), await jobs.report(job)
    job.fetched |= job.finished
    return JSONResponse(described if report is None else {**described, "report": report})


@router.delete("/jobs/{job_id}")
async def delete_job(request: Request, job_id: str) -> Response:
    """Stops a job and forgets it."""
    await request.app.state.service.jobs.delete(job_id)
    return Response(status_code=204)


async def _read(request: Request) -> Upload:
    content_type = request.headers.get("content-type", "")
    return await asyncio.to_thread(uploads.parse, await request.body(), content_type)


def _describe(job: Job) -> dict[str, Any]:
    described = {"id": job.id, "status": job.status, "progress": round(job.progress, 3)}
    if job.error is not None:
        described["error"] = {"code": job.error.code, "message": str(job.error)}
    return described
