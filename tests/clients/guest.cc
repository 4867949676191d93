#include "clients/guest.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <iostream>

#include "clients/client.h"
#include "support/files.h"
#include "support/temp_dir.h"

namespace clients {
namespace {

const std::string kScripts = PMEMFS_SCRIPTS;

}  // namespace

void need_guest() {
  need_program("qemu-system-x86_64");
  if (::testing::Test::IsSkipped()) {
    return;
  }
  const support::CommandResult image =
      support::run_command({kScripts + "/vm-image"});
  if (image.exit_status != 0) {
    GTEST_SKIP() << "there is no image of a guest: " << image.output;
  }
}

support::CommandResult run_in_guest(const std::string& script,
                                    const std::vector<std::string>& options) {
  const support::TempDir payload;
  support::write_file(payload / "run", script);
  EXPECT_EQ(::chmod((payload / "run").c_str(), 0755), 0);
  std::vector<std::string> command = {kScripts + "/vm-run"};
  command.insert(command.end(), options.begin(), options.end());
  command.push_back(payload.path());
  support::CommandResult result = support::run_command(command);
  std::cout << result.output << std::flush;
  return result;
}

}  // namespace clients
