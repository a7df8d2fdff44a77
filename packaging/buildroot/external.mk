include $(sort $(wildcard $(BR2_EXTERNAL_MEMTRACE_PATH)/package/*/*.mk))
