#include "support/fake_ndctl.h"

namespace support {

std::optional<FakeNamespace>& fake_namespace() {
  static std::optional<FakeNamespace> instance;
  return instance;
}

namespace {

// Stands for each of the libraries' opaque objects.
int object = 0;

void* object_if_there() { return fake_namespace() ? &object : nullptr; }

}  // namespace
}  // namespace support

using support::fake_namespace;
using support::object_if_there;

// With the types as the machine sees them: every object is a pointer.
extern "C" {

int ndctl_new(void** context) {
  *context = &support::object;
  return 0;
}
void* ndctl_unref(void* /*context*/) { return nullptr; }

void* ndctl_bus_get_first(void* /*context*/) { return object_if_there(); }
void* ndctl_bus_get_next(void* /*bus*/) { return nullptr; }
void* ndctl_region_get_first(void* /*bus*/) { return object_if_there(); }
void* ndctl_region_get_next(void* /*region*/) { return nullptr; }
void* ndctl_namespace_get_first(void* /*region*/) { return object_if_there(); }
void* ndctl_namespace_get_next(void* /*name_space*/) { return nullptr; }
void* ndctl_namespace_get_dax(void* /*name_space*/) {
  return object_if_there();
}
void* ndctl_dax_get_daxctl_region(void* /*dax*/) { return object_if_there(); }
void* daxctl_dev_get_first(void* /*region*/) { return object_if_there(); }
void* daxctl_dev_get_next(void* /*device*/) { return nullptr; }

const char* daxctl_dev_get_devname(void* /*device*/) {
  return fake_namespace()->device_name.c_str();
}
unsigned long long ndctl_dax_get_size(void* /*dax*/) {
  return fake_namespace()->size_bytes;
}
unsigned long ndctl_dax_get_align(void* /*dax*/) {
  return fake_namespace()->align_bytes;
}
unsigned ndctl_region_get_id(void* /*region*/) {
  return fake_namespace()->region;
}

}  // extern "C"
