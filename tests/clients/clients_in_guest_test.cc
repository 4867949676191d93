// Clients where the memory is persistent: on Device DAX and on ext4 with DAX,
// in a guest, which runs them as they are installed here. Nothing is forced:
// that pmem_is_pmem is 1 is what the library finds.
#include <gtest/gtest.h>

#include <string>

#include "clients/client.h"
#include "clients/guest.h"
#include "support/row_name.h"

namespace clients {
namespace {

const std::vector<std::string> kSymbols = {
    "pmem_map_file", "pmem_unmap",          "pmem_is_pmem",
    "pmem_memcpy",   "pmem_memcpy_persist", "pmem_memset_persist",
    "pmem_drain",    "pmem_persist",        "pmem_deep_flush"};

// $LIBRARY_FOLDER and $TRANSACTIONS go before it. $PMEM0 is a folder of ext4
// with DAX, $PMEM1 a Device DAX aligned to 2 MiB, $PMEM2 one aligned to 4 KiB.
constexpr const char* kScript = R"sh(
export LC_ALL=C.UTF-8
unset PMEM_IS_PMEM_FORCE
folder=$(mktemp -d)
cd "$folder"
trap 'grep -h "symbol .pmem_" of.* >/out/bindings' EXIT
on_library=(env LD_LIBRARY_PATH="$LIBRARY_FOLDER" LD_DEBUG=bindings
  LD_DEBUG_OUTPUT="$folder/of")
client() {
  echo "$*" >&2
  "${on_library[@]}" "$@"
}
verified() {
  client fio --name=job --size=4m --bs=4k --rw=randrw --verify=crc32c \
    --verify_fatal=1 "$@" >log || { cat log; exit 1; }
}

# fio takes nothing but persistent memory.
verified --ioengine=libpmem --direct=1 --sync=1 --directory="$PMEM0"
rm "$PMEM0"/job*
verified --ioengine=dev-dax --filename="$PMEM1"
verified --ioengine=dev-dax --filename="$PMEM2"

# In, out, and from device to device.
head -c 5000000 /dev/urandom >noise
client daxio -i noise -o "$PMEM1"
client daxio -i "$PMEM1" -o "$PMEM2"
client daxio -i "$PMEM2" -o back -l 5000000
cmp noise back
client daxio -z -o "$PMEM1"
client daxio -z -o "$PMEM2" -l 4M
client daxio -i "$PMEM1" -o zeros -l 8M
head -c 8M /dev/zero | cmp - zeros

pool() {
  type=$1 place=$2
  client pmempool create $type "$place"
  client pmempool check -v "$place" >log || { cat log; exit 1; }
  grep -q ': consistent$' log
  client pmempool rm "$place"
}
pool obj "$PMEM1"
pool obj "$PMEM0/pool"
pool 'blk 512' "$PMEM2"
pool log "$PMEM0/pool"

# Transactions, killed at some time or other.
if [ -n "$TRANSACTIONS" ]; then
  client "$TRANSACTIONS" create "$PMEM0/list"
  for more_seconds in 0.1 0.3; do
    "${on_library[@]}" "$TRANSACTIONS" run "$PMEM0/list" >said &
    while [ ! -s said ]; do
      kill -0 $!
      sleep 0.05
    done
    sleep $more_seconds
    kill -KILL $!
    wait $! || true
    steps=$(client "$TRANSACTIONS" check "$PMEM0/list" | sed -n 's/ steps, whole$//p')
    [ "$steps" -ge "$(tail -n 1 said)" ]
    rm said
  done
fi
)sh";

class ClientsInGuest : public ::testing::TestWithParam<Library> {
 protected:
  void SetUp() override {
    need(GetParam());
    for (const char* program : {"fio", "daxio", "pmempool"}) {
      if (!IsSkipped()) {
        need_program(program);
      }
    }
    if (!IsSkipped()) {
      need_guest();
    }
  }
};

TEST_P(ClientsInGuest, WorkOnPersistentMemory) {
  const Bindings bindings;
  const std::string script =
      "#!/bin/bash\nset -euo pipefail\n"
      "LIBRARY_FOLDER=" +
      GetParam().folder() + "\nTRANSACTIONS=" PMEMFS_PMEMOBJ_TRANSACTIONS +
      kScript;
  const support::CommandResult ran = run_in_guest(
      script, {"--host-tree", "--memory", "1G", "--timeout", "150", "--out",
               bindings.folder(), "--nvdimm", "ext4:128M", "--nvdimm",
               "devdax:64M", "--nvdimm", "devdax4k:64M"});
  EXPECT_EQ(ran.exit_status, 0);
  EXPECT_EQ(bindings.fault(GetParam(), kSymbols), "");
}

INSTANTIATE_TEST_SUITE_P(All, ClientsInGuest, ::testing::ValuesIn(libraries()),
                         support::RowName());

}  // namespace
}  // namespace clients
