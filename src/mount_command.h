// `pmemfs mount`: checks the request, goes to the background if it may, mounts
// and serves. One thread, until the session makes its own.
#pragma once

#include "src/exit_code.h"
#include "src/mount_request.h"

namespace pmemfs {

// Returns when the mount answers (in the background), or when it is over (in
// the foreground). A failure has been told on standard error or in the log.
//
// Without `foreground` this process forks: it returns in the daemon as well,
// when that one's work is done.
[[nodiscard]] ExitCode run_mount(const MountRequest& request);

}  // namespace pmemfs
