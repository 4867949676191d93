// QEMU on libpmem: with pmem=on, what a guest writes into the label area of an
// NVDIMM goes through pmem_memcpy_persist. The guest's ndctl makes namespaces,
// which is to write labels; the next boot finds them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "clients/client.h"
#include "clients/guest.h"
#include "support/files.h"
#include "support/row_name.h"
#include "support/temp_dir.h"

namespace clients {
namespace {

constexpr off_t kLabelBytes = off_t{128} << 10;  // as scripts/vm-run has it

const std::vector<std::string> kSymbols = {"pmem_memcpy_persist",
                                           "pmem_persist"};

// What the two boots do. Files in /out come back to us.
constexpr const char* kMakeNamespaces = R"sh(#!/bin/sh -ex
ndctl disable-region all
ndctl init-labels -f all
ndctl enable-region all
ndctl create-namespace --region "$REGION0" --mode devdax --name characters
ndctl create-namespace --region "$REGION1" --mode fsdax --name blocks
ls /dev/dax*.* /dev/pmem*
ndctl list --namespaces >/out/made
)sh";

constexpr const char* kFindNamespaces = R"sh(#!/bin/sh -ex
ls /dev/dax*.* /dev/pmem*
ndctl check-labels all
ndctl list --namespaces >/out/found
)sh";

class NdctlInGuest : public ::testing::TestWithParam<Library> {
 protected:
  void SetUp() override {
    need(GetParam());
    if (!IsSkipped()) {
      need_guest();
    }
  }

  [[nodiscard]] std::string nvdimm(int number) const {
    return folder_ / ("nvdimm" + std::to_string(number));
  }

  // Boots once and runs the script; the test fails unless it succeeds.
  void boot(const std::string& script) const {
    const Bindings bindings;
    std::vector<std::string> options = {"--timeout", "60",    "--backend",
                                        "pmem=on",   "--out", folder_ / "out"};
    for (const int number : {0, 1}) {
      options.insert(options.end(), {"--nvdimm", "raw:64M:" + nvdimm(number)});
    }
    for (const std::string& variable : bindings.environment(GetParam(), true)) {
      options.insert(options.end(), {"--environment", variable});
    }
    ASSERT_EQ(run_in_guest(script, options).exit_status, 0);
    EXPECT_EQ(bindings.fault(GetParam(), kSymbols), "");
  }

  [[nodiscard]] std::string result(const std::string& name) const {
    return support::content_of(folder_ / "out/" + name);
  }

  // What is in the file after the memory proper.
  [[nodiscard]] std::string labels(int number) const {
    const pmem::UniqueFd fd = support::open_file(nvdimm(number), O_RDONLY);
    const off_t size = support::status_of(nvdimm(number)).st_size;
    return support::read_at(fd.get(), size - kLabelBytes, kLabelBytes);
  }

 private:
  support::TempDir folder_;
};

TEST_P(NdctlInGuest, NamespacesOutliveTheGuest) {
  ASSERT_NO_FATAL_FAILURE(boot(kMakeNamespaces));
  const std::string made = result("made");
  for (const char* fact :
       {R"("mode":"devdax")", R"("name":"characters")", R"("mode":"fsdax")",
        R"("name":"blocks")", R"("uuid":")"}) {
    EXPECT_NE(made.find(fact), std::string::npos) << fact << " in " << made;
  }
  const std::vector<std::string> names = {"characters", "blocks"};
  for (const int number : {0, 1}) {
    EXPECT_NE(labels(number).find("NAMESPACE_INDEX"), std::string::npos);
    EXPECT_NE(labels(number).find(names.at(static_cast<std::size_t>(number))),
              std::string::npos);
  }

  ASSERT_NO_FATAL_FAILURE(boot(kFindNamespaces));
  EXPECT_EQ(result("found"), made);
}

INSTANTIATE_TEST_SUITE_P(All, NdctlInGuest, ::testing::ValuesIn(libraries()),
                         support::RowName());

}  // namespace
}  // namespace clients
