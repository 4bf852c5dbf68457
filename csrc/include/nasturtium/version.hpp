#pragma once

#define NASTURTIUM_VERSION "0.1.0"
